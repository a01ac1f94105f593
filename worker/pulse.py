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
from app.persistence.leases import Fence, LeaseLost

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Periods:
    """How often and how long, in seconds."""

    lease: float
    heartbeat: float
    stall: float
    checkpoint: float
    report: float


class Pulse:
    """A thread with its own connection, beside the training."""

    def __init__(self, database: Database, *, name: str, periods: Periods, register: Callable[[Connection], None]) -> None:
        self._database = database
        self._name = name
        self._periods = periods
        self._register = register
        self._held: tuple[Fence, str] | None = None
        self._last_progress = time.monotonic()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End after the beat that is under way, so that a process which left does not come back."""
        self._stopped.set()
        self._thread.join(timeout=5)

    @contextmanager
    def holding(self, fence: Fence, job_id: str) -> Iterator[None]:
        """Renew this lease while the block runs."""
        self.progress()
        self._held = fence, job_id
        try:
            yield
        finally:
            self._held = None

    def progress(self) -> None:
        """Say that the training is alive."""
        self._last_progress = time.monotonic()

    def _run(self) -> None:
        while not self._stopped.wait(self._periods.heartbeat):
            try:
                self._beat()
            except LeaseLost as lost:  # the training loop meets it at its next report
                log.warning("lease.lost", job=lost.args[0].number)
            except SQLAlchemyError as error:
                log.warning("pulse.failed", error=type(error).__name__)

    def _beat(self) -> None:
        held = self._held
        if held and time.monotonic() - self._last_progress > self._periods.stall:
            log.error("training.stalled", job=held[1], seconds=self._periods.stall)
            os._exit(1)  # nothing else ends an endless step; the parent gives the job back
        with self._database.write() as connection:
            if not workers.beat(connection, self._name, job_id=held[1] if held else None):
                self._register(connection)  # the machine slept, or the database was away: the housekeeper took us for dead
            leases.renew(connection, [held[0]] if held else [], lease_seconds=self._periods.lease)
