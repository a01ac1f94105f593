"""A server under measurement: its port and what its processes take."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service import process_tree, resident_bytes

_LAST = 500
_TICKS = os.sysconf("SC_CLK_TCK")
# Of /proc/PID/stat behind the name: utime, stime, and those of children that ended.
_TIMES = slice(11, 15)


@dataclass(frozen=True)
class Server:
    """A process and all that it started."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def runs(self) -> bool:
        """Whether its first process has not ended."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The end of what it told."""
        return self.log.read_text(errors="replace").strip()[-_LAST:]

    def cpu_seconds(self) -> float:
        """Processor time of all its processes since they started."""
        return sum(map(_ticks, self._processes())) / _TICKS

    def resident_bytes(self) -> int:
        """Resident memory; what processes share counts for each."""
        return sum(map(resident_bytes, self._processes()))

    def _processes(self) -> list[int]:
        return [self.process.pid, *process_tree(self.process.pid)]


def _ticks(process: int) -> int:
    try:
        return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[_TIMES]))
    except FileNotFoundError:  # it ended meanwhile
        return 0


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def started(command: Sequence[str], *, port: int, environment: Mapping[str, str], log: Path) -> Iterator[Server]:
    """A server in a session of its own, ended with the block; what it tells goes to the file."""
    with log.open("wb") as told:
        settings = os.environ | environment
        process = subprocess.Popen(command, env=settings, stdout=told, stderr=told, start_new_session=True)
    try:
        yield Server(port, process, log)
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Politely, then with all that is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
