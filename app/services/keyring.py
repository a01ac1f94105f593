"""Whose a sent key is: asked of the database for every request, so that a revoked key is refused at once everywhere."""

import asyncio
import math
import time
from collections.abc import Collection, Coroutine
from datetime import UTC, datetime

import structlog
from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError

from app.domain.caller import Caller
from app.domain.errors import Unavailable
from app.domain.keys import id_of, matches
from app.persistence import keys
from app.persistence.database import Database
from app.persistence.rows import KeyRow
from app.services.questions import Questions
from app.services.unchanged import Unchanged

log = structlog.get_logger()

# How soon a service that needed no key needs one, after the first was made.
LOOK_SECONDS = 1.0

_AWAY = "The database, which knows the keys, does not answer."


class Keyring:
    """One per API process, on its event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.keep_open()
        self._questions = Questions(self._valid)
        self._known: Unchanged[str, KeyRow] = Unchanged(database.changes.mark)
        self._looking = asyncio.Lock()
        self._readers, self._writers = CapacityLimiter(1), CapacityLimiter(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._noted: dict[str, float] = {}
        self._any_made = False
        self._looked = -math.inf

    async def caller(self, secret: str) -> Caller | None:
        """Whose the key is; None where it is nobody's, revoked or expired."""
        id = id_of(secret)
        row = None if id is None else await self._find(id)
        return self._holder(secret, row)

    def known(self, secret: str) -> Caller | None:
        """As `caller`, without any waiting; None, too, where the database has to be asked."""
        id = id_of(secret)
        row = None if id is None else self._look(id)[1]
        return self._holder(secret, row)

    def _holder(self, secret: str, row: KeyRow | None) -> Caller | None:
        if row is None or not matches(secret, row.sha256):
            return None
        self._note_use(row.id)
        return Caller(project_id=row.project_id, scopes=frozenset(row.scopes), key_id=row.id)

    async def holds(self, caller: Caller) -> bool:
        """Whether the key, by which the caller was found, is still good."""
        return caller.key_id is None or await self._find(caller.key_id) is not None

    async def _find(self, id: str) -> KeyRow | None:
        mark, row = self._look(id)
        if row is not None:
            return row
        row = await self._questions.answer(id)
        if row is not None:
            self._known.keep(id, row, mark)
        return row

    def _look(self, id: str) -> tuple[int | None, KeyRow | None]:
        mark, row = self._known.look(id)
        is_good = row is not None and (row.expires_at is None or datetime.now(UTC) < row.expires_at)
        return mark, row if is_good else None

    def _valid(self, ids: Collection[str]) -> dict[str, KeyRow]:
        try:
            return self._connection.ask(lambda connection: keys.valid(connection, ids))
        except SQLAlchemyError as error:
            raise _away(error) from None

    def _note_use(self, id: str) -> None:
        """Beside the request, which waits for no write."""
        now = time.monotonic()
        if now - self._noted.get(id, -math.inf) >= keys.USE_SECONDS:
            self._noted[id] = now
            self._start(self._write_use(id))

    async def _write_use(self, id: str) -> None:
        try:
            await to_thread.run_sync(self._store_use, id, limiter=self._writers)
        except SQLAlchemyError as error:
            log.warning("key.use_unnoted", key=id, error=type(error).__name__)

    def _store_use(self, id: str) -> None:
        with self._database.write() as connection:
            keys.note_use(connection, [id])

    @property
    def is_known_empty(self) -> bool:
        """True where it was looked up within the last second that no key was made."""
        return not self._any_made and time.monotonic() - self._looked < LOOK_SECONDS

    async def any_made(self) -> bool:
        """True for good once any key was made, looked up once a second at most; Unavailable where the database is away."""
        if self._any_made:
            return True
        async with self._looking:  # who comes while it is looked up waits: nobody is let in unasked
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._any_made = await to_thread.run_sync(self._ask, limiter=self._readers)
                self._looked = time.monotonic()
        return self._any_made

    def _ask(self) -> bool:
        try:
            with self._database.read() as connection:
                return keys.any_made(connection)
        except SQLAlchemyError as error:
            raise _away(error) from None

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _away(error: SQLAlchemyError) -> Unavailable:
    log.error("database.unavailable", error=type(error).__name__)
    return Unavailable(_AWAY)
