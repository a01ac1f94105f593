"""The database: connections, short transactions, and the database's own clock, alike on SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import orjson
from sqlalchemy import URL, BigInteger, Connection, Dialect, Engine, TypeDecorator, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.domain.mistakes import Mistake
from app.persistence.changes import Changes

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TURN_SECONDS = 10
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
MICROSECOND = timedelta(microseconds=1)


class DatabaseUnknown(Mistake):
    """Raised when the URL names no database that the service speaks to; nothing of it is told, for it may hold a password."""

    def __init__(self) -> None:
        known = "`sqlite:///…` or `postgresql+psycopg://user:password@host/name`"
        super().__init__(f"TRAINYARD_DATABASE_URL: It must be {known}, with `%40` for an `@` in the password.")


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
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    begin = "BEGIN" if options.get("reading", False) else "BEGIN IMMEDIATE"
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
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`; DatabaseUnknown where it is neither."""
    if _parsed(url).get_backend_name() != "sqlite":
        # A machine that is gone without a word is noticed in half a minute, not in the kernel's quarter of an hour.
        patience = {"connect_timeout": 5, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
        patience["tcp_user_timeout"] = 30_000
        return create_engine(url, connect_args=patience, pool_pre_ping=True, **_OPTIONS)
    engine = create_engine(url, **_OPTIONS)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnknown from None
    # Behind an `@` in the password the rest of it is taken for host or name, and would be told as what is not found.
    if parsed.drivername not in DRIVERS or (parsed.get_backend_name() != "sqlite" and url.count("@") > 1):
        raise DatabaseUnknown
    return parsed


class OpenConnection:
    """Stays open between its questions, for one thread at a time; each statement sees all that was committed before it.

    To take a connection out of the pool and to begin and end a transaction costs several times what a small question does.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def ask(self, question: Callable[[Connection], T]) -> T:
        """The answer; asked once more where the connection broke since the last one, as when the database was restarted."""
        try:
            return self._asked(question)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._asked(question)

    def _asked(self, question: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            return question(self._connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back; the next question opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Database:
    """Hands out transactions; a block that raises leaves nothing behind."""

    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self._writing = Lock() if self.engine.dialect.name == "sqlite" else None
        self._open: list[OpenConnection] = []
        self.changes = Changes(self.engine)

    @property
    def file(self) -> Path | None:
        """Of SQLite, absolute."""
        name = self.engine.url.database
        return Path(name).resolve() if name and self.engine.dialect.name == "sqlite" else None

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

    def keep_open(self) -> OpenConnection:
        """A connection for many small questions; it is opened with the first."""
        self._open.append(OpenConnection(self.engine))
        return self._open[-1]

    def close(self) -> None:
        """Give every connection back."""
        self.changes.close()
        for connection in self._open:
            connection.close()
        self.engine.dispose()
