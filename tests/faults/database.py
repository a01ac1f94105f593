"""Databases for a service under test: a SQLite file, or a PostgreSQL of its own that can be stopped as by a failing machine."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import migrated
from tests.servers.missing import missing
from tests.servers.postgres import OUTLIVING, Server, create_database, find_binaries


@dataclass
class Outage:
    """A PostgreSQL that outlives `immediate` stops: what was committed is there again."""

    server: Server
    stack: ExitStack
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Start."""
        self.start()

    def start(self) -> None:
        """Recover, and answer."""
        self.process = self.stack.enter_context(self.server.running())

    def stop(self) -> None:
        """The server's `immediate` stop: no session is ended politely, nothing is written down."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)


@contextmanager
def outliving() -> Iterator[tuple[str, Outage]]:
    """The URL of a fresh migrated database, and the server to stop."""
    binaries = find_binaries()
    if binaries is None:
        missing("PostgreSQL")
    server = Server(binaries, settings=OUTLIVING)
    try:
        with ExitStack() as stack:
            outage = Outage(server, stack)
            yield migrated(create_database(server.url)), outage
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], None] | None]]:
    """The URL of a fresh migrated database of that kind, and what stops and starts its server where there is one."""
    if kind == "sqlite":
        yield migrated(f"sqlite:///{folder / 'trainyard.db'}"), None
        return
    with outliving() as (url, outage):

        def restart() -> None:
            outage.stop()
            outage.start()

        yield url, restart
