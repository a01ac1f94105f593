"""Looks for due jobs while no doorbell rings: with a dead or frozen broker jobs start later, not never."""

from collections.abc import Callable
from threading import Event, Thread

import structlog

log = structlog.get_logger()


class Lookout:
    """A thread of a training process; Celery's own waits for messages."""

    def __init__(self, look: Callable[[], None], *, period: float) -> None:
        self._look = look
        self._period = period
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; a training that was found goes first, as it does for a message: to its next report."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            try:
                self._look()
            except Exception as error:  # the database is away, or memory is short: the next look may find it better
                log.warning("lookout.failed", error=repr(error))
