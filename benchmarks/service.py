"""A whole embedded service as a child process, for the benchmarks to talk to over HTTP."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2


@dataclass(frozen=True)
class Service:
    """A running service: its address and its processes."""

    url: str
    process: subprocess.Popen[str]
    data: Path

    def client(self) -> httpx2.Client:
        """A client with patience."""
        return httpx2.Client(base_url=self.url, timeout=600)


@contextmanager
def running_service(**environment: str) -> Iterator[Service]:
    """Start `trainyard up` on a free port with a data folder of its own, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder:
        trainyard = Path(sys.executable).with_name("trainyard")
        settings = {"TRAINYARD_DATA": folder, "TRAINYARD_PORT": "0", **environment}
        process = subprocess.Popen([trainyard, "up"], env=os.environ | settings, stdout=subprocess.PIPE, text=True)
        try:
            yield Service(_url(process), process, Path(folder))
        finally:
            process.terminate()
            process.wait(timeout=60)


def _url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://[\w.:\[\]]+", line):
            return found[0]
    raise RuntimeError("The service ended before it was ready.")


def process_tree(root: int) -> dict[int, str]:
    """All descendants of a process, with their command lines (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended meanwhile
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, left = {}, [root]
    while left:
        for child in children.get(left.pop(), []):
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            left.append(child)
    return found


def resident_bytes(process: int, *, peak: bool = False) -> int:
    """A process's resident memory now, or its highest so far (Linux)."""
    field = "VmHWM" if peak else "VmRSS"
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
