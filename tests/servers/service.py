"""The whole embedded service as a person starts it, with periods that suit tests."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import running, wait_until
from trainyard import Client

PERIODS = {
    "TRAINYARD_LEASE_SECONDS": "3",
    "TRAINYARD_HEARTBEAT_SECONDS": "0.5",
    "TRAINYARD_HOUSEKEEPING_SECONDS": "0.2",
    "TRAINYARD_CHECKPOINT_SECONDS": "0.5",
}


@dataclass(frozen=True)
class Service:
    """A service that is ready."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def client(self) -> Client:
        """A client of it; the caller closes it."""
        return Client(self.url)

    def printed(self) -> list[str]:
        """What `up` said."""
        return (self.folder.parent / "up.log").read_text().splitlines()


@contextmanager
def embedded(
    folder: Path, *, environment: Mapping[str, str] | None = None, stop: signal.Signals = signal.SIGTERM
) -> Iterator[Service]:
    """`trainyard up` on a free port with one slot; yields when it is ready."""
    log = folder.parent / "up.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "trainyard", "up", "--port", "0", "--slots", "1", "--data", str(folder)]
    with running(command, log=log, environment={**PERIODS, **(environment or {})}, stop=stop) as process:

        def ready() -> bool:
            assert process.poll() is None, f"`up` ended with {process.returncode}:\n{log.read_text()}"
            return (folder / "url").exists() and "http://" in log.read_text()

        wait_until(ready, seconds=90, what=f"the service, see {log}")
        yield Service((folder / "url").read_text(), folder, process)
