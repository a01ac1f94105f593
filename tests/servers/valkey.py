"""A real Valkey on a loopback port, from the wheel or from PATH."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import free_port, running, wait_until_listening

NOT_KEPT = ("--save", "", "--appendonly", "no")


@contextmanager
def valkey(binary: Path, *, port: int | None = None) -> Iterator[str]:
    """A server without persistence; yields its URL."""
    port = port or free_port()
    folder = Path(tempfile.mkdtemp(prefix="trainyard-valkey-"))
    log = folder / "log"
    command = [str(binary), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), *NOT_KEPT]
    try:
        with running(command, log=log) as process:
            wait_until_listening(process, port, log=log)
            yield f"redis://127.0.0.1:{port}/0"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
