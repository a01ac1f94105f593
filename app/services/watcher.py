"""Wakes whoever waits for a job to change: one question to the database for all watched ones, only while somebody waits."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.persistence import jobs
from app.persistence.database import Database

log = structlog.get_logger()

AFTER_FAILURE_SECONDS = 1.0


Revisions = Callable[[Connection, Collection[int]], Mapping[int, int]]
"""The revisions of what has these numbers."""


@dataclass(eq=False)
class _Wait:
    of: Revisions
    number: int
    seen: int
    woken: asyncio.Event


class Watcher:
    """One per API process, on its event loop; holds neither a thread nor a connection between two questions."""

    def __init__(self, database: Database, *, period: float) -> None:
        self._database = database
        self._period = period
        self._waits: set[_Wait] = set()
        self._wanted = asyncio.Event()
        self._thread = CapacityLimiter(1)
        self.closed = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waits)

    async def changed(self, number: int, *, seen: int, timeout: float, of: Revisions = jobs.revisions) -> bool:
        """True as soon as its revision is not `seen` (or it is gone); False after the timeout or at the end.

        `of` says of what it is the number: of a job, if nothing else.
        """
        if self.closed:
            return False
        wait = _Wait(of, number, seen, asyncio.Event())
        self._waits.add(wait)
        self._wanted.set()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(wait.woken.wait(), timeout)
        finally:
            self._waits.discard(wait)
        return wait.woken.is_set() and not self.closed

    async def run(self) -> None:
        """Ask for ever; ends by being cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._ask(list(self._waits))
            except SQLAlchemyError as error:  # the database is away, or has no connection to spare: ask again later
                log.warning("watcher.failed", error=type(error).__name__)
                await asyncio.sleep(AFTER_FAILURE_SECONDS)
            await asyncio.sleep(self._period)
            if self._waits:
                self._wanted.set()

    async def _ask(self, waits: Sequence[_Wait]) -> None:
        for of in {wait.of for wait in waits}:
            some = [wait for wait in waits if wait.of is of]
            revisions = await to_thread.run_sync(self._revisions, of, {wait.number for wait in some}, limiter=self._thread)
            for wait in [wait for wait in some if revisions.get(wait.number) != wait.seen]:
                wait.woken.set()

    def _revisions(self, of: Revisions, numbers: set[int]) -> Mapping[int, int]:
        with self._database.read() as connection:
            return of(connection, numbers)

    def close(self) -> None:
        """Wake everybody for good: streams and waits end."""
        self.closed = True
        for wait in self._waits:
            wait.woken.set()
