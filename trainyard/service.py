"""A service of one's own for a while: `trainyard up` as a child on a free port."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 30


class ServiceFailed(Exception):
    """Raised when the service does not start; what it said about that stands above, on standard error."""


@contextmanager
def own_service(data: Path, *, slots: int = 1, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start a service on a data folder, yield its URL, stop it; settings of the caller's environment do not reach it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")}
    options = ("--data", str(data), "--port", "0", "--slots", str(slots), "--parent", str(os.getpid()))
    process = subprocess.Popen(  # noqa: S603 - the command is our own
        [sys.executable, "-m", "trainyard", "up", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**inherited, **(environment or {})},
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    try:
        yield _url(process)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


def _url(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if "http://" not in line:
        raise ServiceFailed("The service did not start.")
    return line[line.index("http://") :].strip()
