"""A thread that does something again and again, whatever becomes of one time."""

from collections.abc import Callable
from threading import Event, Thread

import structlog

log = structlog.get_logger()


class Periodically:
    """Waits first, then acts; a failure is logged, and the next time comes all the same."""

    def __init__(self, action: Callable[[], object], *, name: str, period: float) -> None:
        self._action = action
        self._name = name
        self._period = period
        self._stopped = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, timeout: float | None = 5) -> None:
        """End after the time that is under way, if it takes no longer than so many seconds."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            try:
                self._action()
            except Exception as error:  # the database is away, or whatever: without this thread nothing is kept up
                log.warning("upkeep.failed", what=self._name, error=repr(error))
