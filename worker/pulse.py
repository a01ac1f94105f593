"""The heartbeat of a training process: renews its lease while there is progress, and ends the process when there is none."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.persistence import leases, workers
from app.persistence.database import Database
from worker.exits import STALLED
from worker.held import Held

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Periods:
    """How often and how long, in seconds."""

    lease: float
    heartbeat: float
    stall: float
    checkpoint: float
    report: float
    idle: float = 10
    """How often a process without a job looks for one unasked."""
    pause: float = 1
    """How long a job waits that was given back because the database failed."""
    retry: float = 30
    """How long a job waits whose storage failed, before it is tried again."""
    patience: float = 86400
    """How long it is tried."""


class Pulse:
    """A thread with its own connection, beside the training."""

    def __init__(
        self,
        database: Database,
        *,
        name: str,
        periods: Periods,
        register: Callable[[Connection], None],
        alive: Callable[[], None],
    ) -> None:
        self._database = database
        self._name = name
        self._periods = periods
        self._register = register
        self._alive = alive
        self._held = Held({})
        self._last_progress = time.monotonic()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to beat, from now on: a process that hangs before its first beat is as dead as any."""
        self._alive()
        self._thread.start()

    def stop(self) -> None:
        """End after the beat that is under way, so that a process which left does not come back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @contextmanager
    def holding(self, held: Held) -> Iterator[None]:
        """Renew these leases while the block runs, which may give some up."""
        self.progress()
        self._held = held
        try:
            yield
        finally:
            self._held = Held({})

    def progress(self) -> None:
        """Say that the training is alive."""
        self._last_progress = time.monotonic()

    def _run(self) -> None:
        while not self._stopped.wait(self._periods.heartbeat):
            self._alive()
            try:
                self.beat()
            except SQLAlchemyError as error:
                log.warning("pulse.failed", error=type(error).__name__)

    def beat(self) -> None:
        """Beat once."""
        held = self._held.ids
        if held and time.monotonic() - self._last_progress > self._periods.stall:
            log.error("training.stalled", jobs=[*held.values()], seconds=self._periods.stall)
            os._exit(STALLED)  # nothing else ends an endless step; the parent gives the jobs back
        with self._database.write() as connection:
            if not workers.beat(connection, self._name, job_id=next(iter(held.values()), None)):
                self._register(connection)  # the machine slept, or the database was away: the housekeeper took us for dead
            lost = leases.renew(connection, held, lease_seconds=self._periods.lease)
        if jobs := [held[fence] for fence in lost if self._held.misses(fence)]:
            log.warning("lease.lost", jobs=jobs)  # the training loop meets it at its next report
