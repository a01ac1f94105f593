"""The parent's eye on its training processes: gives back at once what a dead one held, and ends one that shows no life."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Protocol

import structlog
from billiard.process import active_children

from app.domain.crashes import Crash
from worker.exits import TOLD, crash_of
from worker.reaper import Reaper
from worker.signs import Signs

log = structlog.get_logger()

LOOK_SECONDS = 0.25

# A child that is forked while this process has SQLite open inherits locks that nobody gives back: "database is locked".
_no_fork = Lock()
os.register_at_fork(before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_no_fork.release)


class Child(Protocol):
    """A training process as its parent sees it."""

    pid: int
    index: int
    exitcode: int | None


class Nursery:
    """A thread of the parent; made before the first child, so that all of them share its signs of life."""

    def __init__(self, reaper: Reaper, *, host: str, silence: float) -> None:
        self.signs = Signs()
        self._reaper = reaper
        self._host = host
        self._silence = silence
        self._alive: Mapping[int, Child] = {}
        self._ended: set[int] = set()
        self._over = Event()
        self._thread = Thread(target=self._run, name="nursery", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Once all of them have gone: give back what one held that did not do so itself."""
        self._over.set()
        self._thread.join()
        self.look({})

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.look({child.pid: child for child in active_children()})
            except Exception:  # without this thread a dead process keeps its job until the lease runs out
                log.exception("nursery.failed")

    def look(self, now: Mapping[int, Child]) -> None:
        """A child's death is seen at once; its lease would take half a minute to say so."""
        places = {child.index for child in now.values()}
        for child in [child for pid, child in self._alive.items() if pid not in now]:
            if child.index not in places:  # else its successor has spoken there already
                self.signs.clear(child.index)
            self._bury(child)
        for child in now.values():
            if self.signs.silent_for(child.index) > self._silence and child.pid not in self._ended:
                self._end(child)
        self._alive = now

    def _end(self, child: Child) -> None:
        log.error("process.silent", pid=child.pid, seconds=self._silence)
        self._ended.add(child.pid)
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)

    def _bury(self, child: Child) -> None:
        crash = Crash.STALLED if child.pid in self._ended else crash_of(child.exitcode)
        self._ended.discard(child.pid)
        try:
            with _no_fork:
                self._reaper.bury(f"{self._host}:{child.pid}", crash=crash, told=child.exitcode in TOLD)
        except Exception as error:  # the database is away: the lease will expire
            log.warning("children.failed", error=repr(error))
