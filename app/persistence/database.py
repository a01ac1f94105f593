"""The database: connections, short transactions, and the database's own clock, alike on SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, Dialect, Engine, TypeDecorator, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TURN_SECONDS = 10
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A point in time as microseconds since 1970, so that both databases compare and add alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: Dialect) -> int | None:
        """A datetime, or microseconds as they are."""
        return (value - _EPOCH) // MICROSECOND if isinstance(value, datetime) else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """An aware datetime in UTC."""
        return None if value is None else _EPOCH + value * MICROSECOND


class now(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock in microseconds since 1970: leases never compare the clocks of two machines."""

    type = BigInteger()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


def _configure_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the transactions are ours: see _begin_immediate
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    # A plain BEGIN upgrades its lock at the first write, which cannot wait: 383 000 lock errors in 3 s, this none.
    reading = connection.get_execution_options().get("reading", False)
    begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
    connection.connection.cursor().execute(begin)  # past SQLAlchemy, which takes longer over it than SQLite


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


# No fewer connections than the API has threads (40), or they wait for each other.
_OPTIONS: dict[str, Any] = {
    "json_serializer": _dumps,
    "json_deserializer": orjson.loads,
    "pool_size": 20,
    "max_overflow": 30,
    "hide_parameters": True,  # an error of a statement is logged, and what was bound to it is nobody's business
}


def connect(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`."""
    if make_url(url).get_backend_name() != "sqlite":
        patience = {"connect_timeout": 5, "keepalives_idle": 15}
        return create_engine(url, connect_args=patience, pool_pre_ping=True, **_OPTIONS)
    engine = create_engine(url, **_OPTIONS)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


class Database:
    """Hands out transactions; a block that raises leaves nothing behind."""

    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self._writing = Lock() if self.engine.dialect.name == "sqlite" else None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; it commits when the block ends."""
        with self._turn(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite has one writer, and others sleep and look again: threads that wait for each other here are twice as quick."""
        if self._writing is None:
            yield
            return
        if not self._writing.acquire(timeout=TURN_SECONDS):
            raise OperationalError("BEGIN IMMEDIATE", None, Exception("other threads of this process write"))
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: it never waits for a writer."""
        with self.engine.connect().execution_options(reading=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
