"""A real API process with small limits, whose memory and leavings can be looked at."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.contract import answers
from tests.servers.cluster import cluster
from tests.servers.processes import free_port

MIB = 1 << 20
LIMITS = {
    "TRAINYARD_MAX_BODY_BYTES": str(2 * MIB),
    "TRAINYARD_MAX_UPLOAD_BYTES": str(4 * MIB),
    "TRAINYARD_MAX_INFLATED_BYTES": str(16 * MIB),
    "TRAINYARD_MAX_CELLS": "200000",
}


@dataclass(frozen=True)
class ApiProcess:
    """A process, where it keeps things, and a client."""

    pid: int
    folder: Path
    port: int
    client: httpx2.Client

    def forget_peak(self) -> None:
        """Measure the peak of the memory from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def memory(self, what: str = "VmHWM") -> int:
        """Bytes: the peak, or with `VmRSS` what is resident now."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))

    def kept(self) -> set[Path]:
        """All files but the database's and the log."""
        files = {path for path in self.folder.rglob("*") if path.is_file()}
        return {path for path in files if not path.name.startswith("trainyard.db") and path.suffix != ".log"}


@contextmanager
def api_process(folder: Path, *, broker: str, environment: Mapping[str, str] | None = None) -> Iterator[ApiProcess]:
    """`trainyard api` on SQLite; it ends with the block."""
    port = free_port()
    variables = {"TRAINYARD_DATA": str(folder / "data"), "TRAINYARD_REDIS_URL": broker, "TRAINYARD_PORT": str(port)}
    with cluster({**LIMITS, **variables, **(environment or {})}, folder) as started:
        assert started.run(["trainyard", "migrate"]).returncode == 0
        process = started.start("api", ["trainyard", "api"])
        started.wait_until_healthy("api", ["trainyard", "api", "--check"])
        with answers.client(f"http://127.0.0.1:{port}", seconds=60) as client:
            yield ApiProcess(process.pid, folder, port, client)
