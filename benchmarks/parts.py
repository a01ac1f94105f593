"""Parts of the service on their own: a broker, an API without a worker, and beside it the endpoint that one writes by hand."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from app.upkeep.address import listen
from app.upkeep.commands import api_command
from app.upkeep.valkey import answers, find_server, server_command

START_SECONDS = 60


@contextmanager
def running(command: tuple[str, ...], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended with the block."""
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The URL of a Valkey server on a socket in that folder."""
    program, socket = find_server(), folder / "valkey.sock"
    assert program is not None
    with running(server_command(program, socket=socket, folder=folder)):
        until(lambda: answers(socket))
        yield f"redis+socket://{socket}"


@contextmanager
def api(folder: Path, redis_url: str, *, processes: int = 1) -> Iterator[httpx2.Client]:
    """A client of an API on SQLite in that folder, with so many processes and no worker."""
    settings = {"TRAINYARD_DATA": str(folder), "TRAINYARD_REDIS_URL": redis_url}
    trainyard = str(Path(sys.executable).with_name("trainyard"))
    subprocess.run([trainyard, "migrate"], env=os.environ | settings, check=True, stderr=subprocess.DEVNULL)
    with serving("app.start:create_app", processes=processes, **settings) as client:
        yield client


@contextmanager
def bare(folder: Path, redis_url: str) -> Iterator[httpx2.Client]:
    """A client of `benchmarks.bare`, served in the same way."""
    with serving("benchmarks.bare:create_app", BARE_DATABASE=f"sqlite:///{folder}/bare.db", BARE_BROKER=redis_url) as client:
        yield client


@contextmanager
def serving(factory: str, *, processes: int = 1, **environment: str) -> Iterator[httpx2.Client]:
    """A client of an application under uvicorn, once it answers."""
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = api_command(workers=processes, bind=("--host", "127.0.0.1", "--port", str(port)))
    command = tuple(factory if part == "app.start:create_app" else part for part in command)
    with running(command, **environment), httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        until(lambda: _is_listening(client))
        yield client


def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    limit = time.monotonic() + START_SECONDS
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError("A part did not start.")
        time.sleep(0.05)


def _is_listening(client: httpx2.Client) -> bool:
    try:
        client.get("/livez")
    except httpx2.TransportError:
        return False
    return True
