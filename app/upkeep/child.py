"""One supervised process: started, watched, started again when it dies, stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.upkeep.parent import ending_with

STEADY_SECONDS = 60.0
FIRST_DELAY_SECONDS = 0.25
LAST_DELAY_SECONDS = 30.0
LOG_BYTES = 10 * 2**20


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    inherited: tuple[int, ...] = ()
    """Descriptors that it keeps."""


class Child:
    """A program of which one process should always run; its output goes to a file."""

    def __init__(self, program: Program, *, log: Path | None) -> None:
        self.name = program.name
        self.log = log
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._delay = FIRST_DELAY_SECONDS
        self._next_start: float | None = None

    def start(self) -> None:
        """Start a process in a session of its own, so that Ctrl-C at the terminal reaches only the supervisor."""
        self._started, self._next_start = time.monotonic(), None
        with _opened(self.log) as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is our own
                self._program.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._program.environment},
                pass_fds=self._program.inherited,
                start_new_session=True,
                preexec_fn=ending_with(os.getpid()),
            )

    def status(self) -> int | None:
        """The exit status of a process that ended, None while it runs."""
        return None if self._process is None else self._process.poll()

    def revive(self) -> str | None:
        """Start a dead process again, later and later if it keeps dying; a sentence when a death is seen."""
        status = self.status()
        if status is None:
            return None
        now = time.monotonic()
        if self._next_start is None:
            self._kill_rest()
            self._delay = FIRST_DELAY_SECONDS if now - self._started > STEADY_SECONDS else self._delay
            self._next_start = now + self._delay
            sentence = (
                f"The {self.name} ended ({describe(status)}) and is started again in {self._delay:g} s{self.whereabouts()}."
            )
            self._delay = min(2 * self._delay, LAST_DELAY_SECONDS)
            return sentence
        if now >= self._next_start:
            self.start()
        return None

    def ask_to_stop(self) -> None:
        """Send SIGTERM if it runs."""
        if self._process is not None and self.status() is None:
            self._process.terminate()

    def wait_or_kill(self, deadline: float) -> None:
        """Wait until the monotonic clock says so, then kill it and whatever it started."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._kill_rest()
        self._process.wait()

    def _kill_rest(self) -> None:
        """Kill the process if it still runs, and whatever it started in its session's first group."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def trim_log(self) -> None:
        """Set a large log aside as `.1`; the process goes on writing at the start of the emptied file, since it appends."""
        if self.log is not None and self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            shutil.copyfile(self.log, f"{self.log}.1")
            os.truncate(self.log, 0)

    def whereabouts(self) -> str:
        """Where its log is, as the end of a sentence."""
        return f"; see {self.log}" if self.log else ""


def describe(status: int) -> str:
    """An exit status in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _opened(log: Path | None) -> IO[bytes]:
    return os.fdopen(os.dup(sys.stderr.fileno()), "wb") if log is None else log.open("ab")
