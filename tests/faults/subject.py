"""The service under test: an API, workers and a broker as real processes, with what is done to them and what they did."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from app.domain.job import TERMINAL
from app.persistence.database import Database
from app.persistence.tables import jobs, workers
from app.upkeep.valkey import find_server
from tests.faults import recording
from tests.faults.proxy import Proxy
from tests.faults.recording import Deed, Record, deed
from tests.plugins import install
from tests.servers.cluster import Cluster, cluster
from tests.servers.missing import missing
from tests.servers.processes import free_port, wait_until, wait_until_listening
from tests.servers.valkey import NOT_KEPT
from trainyard import Client

START_SECONDS = 120.0
LOSSES = {name.lower(): name for name in ("Slow", "Suicidal", "Late", "Endless", "Greedy", "Diverging")}
PERIODS = {
    "TRAINYARD_LEASE_SECONDS": "2",
    "TRAINYARD_HEARTBEAT_SECONDS": "0.4",
    "TRAINYARD_STALL_SECONDS": "3",
    "TRAINYARD_HOUSEKEEPING_SECONDS": "0.2",
    "TRAINYARD_CHECKPOINT_SECONDS": "0.2",
    "TRAINYARD_BATCH_PART_ROWS": "100",
}
SPEC: dict[str, object] = {
    "target": "species",
    "network": {"hidden_layers": [8], "dropout": 0.1},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "batch_size": 16,
    "epochs": 40,
    "seed": 7,
    "pack": False,
}
SLOW: dict[str, object] = {**SPEC, "loss": {"name": "custom:slow"}}


@dataclass
class Subject:
    """A running service; whatever is done to it is remembered."""

    database_url: str
    folder: Path
    parts: Cluster
    proxy: Proxy
    broker_port: int
    workers: Sequence[str]
    deeds: list[Deed] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    twins: dict[str, str] = field(default_factory=dict)
    trials: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Look into the database, and watch it."""
        self.database = Database(self.database_url)
        recording.install(self.database)

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.parts.environment['TRAINYARD_PORT']}"

    def start_api(self) -> None:
        """Start an API and wait until it answers."""
        process, port = self.parts.start("api", ["trainyard", "api"]), int(self.url.rpartition(":")[2])
        wait_until_listening(process, port, log=self.parts.log("api"), seconds=START_SECONDS)

    def start_broker(self) -> None:
        """Start an empty broker."""
        binary = find_server()
        if binary is None:
            missing("Valkey")
        command = [str(binary), "--bind", "127.0.0.1", "--port", str(self.broker_port), "--dir", str(self.folder), *NOT_KEPT]
        wait_until_listening(self.parts.start("broker", command), self.broker_port, log=self.parts.log("broker"))

    def start_worker(self, name: str, **environment: str) -> None:
        """Start a worker; it is warm some seconds later."""
        self.parts.start(name, ["trainyard", "worker"], PYTHONPATH=str(self.folder / "site"), **environment)

    def wait_until_warm(self, count: int | None = None) -> None:
        """Return once that many training processes, one of each worker unless said otherwise, are warm and alive."""
        wanted = len(self.workers) if count is None else count
        wait_until(lambda: len(self.training()) >= wanted, seconds=START_SECONDS, what=f"{wanted} warm training processes")

    def heal(self) -> None:
        """Start whatever is dead, and wait until every worker is warm and nothing is left to do."""
        self.proxy.come_back()

        def whole() -> bool:
            self.revive()
            return len(self.training()) == len(self.workers) and not self.live()

        wait_until(whole, seconds=2 * START_SECONDS, what=f"the service to be whole again, see {self.folder}")

    def revive(self) -> None:
        """Start whatever is dead, as whatever watches over processes does."""
        if self.parts.parts["broker"].poll() is not None:
            self.start_broker()
        if self.parts.parts["api"].poll() is not None:
            self.start_api()
        for name in self.workers:
            if self.parts.parts[name].poll() is not None:
                self.start_worker(name)

    def training(self) -> dict[int, str]:
        """The worker of each living training process that the database knows."""
        with self.database.read() as connection:
            ids = connection.execute(select(workers.c.id)).scalars().all()
        owners = {pid: name for name in self.workers for pid in children(self.parts.parts[name].pid)}
        return {pid: owners[pid] for id in ids if (pid := int(id.rpartition(":")[2])) in owners}

    def trainer_of(self, job: str) -> int | None:
        """The process that holds a job, and has an epoch of this attempt to show for it or at least the lease."""
        with self.database.read() as connection:
            owner = connection.execute(select(jobs.c.lease_owner).where(jobs.c.id == job)).scalar_one_or_none()
        return int(owner.rpartition(":")[2]) if owner else None

    def epoch_of(self, job: str) -> int:
        """How far a job is."""
        with self.database.read() as connection:
            return int(connection.execute(select(jobs.c.epoch).where(jobs.c.id == job)).scalar_one())

    def status_of(self, job: str) -> str:
        """Where a job stands."""
        with self.database.read() as connection:
            return str(connection.execute(select(jobs.c.status).where(jobs.c.id == job)).scalar_one())

    def running(self, *, most_crashes: int) -> list[str]:
        """Jobs that are being trained and have not crashed more often than that since their last recovery point."""
        crashes = jobs.c.crashes + jobs.c.pack_crashes
        with self.database.read() as connection:
            query = select(jobs.c.id).where(jobs.c.status == "running", crashes <= most_crashes)
            return list(connection.execute(query).scalars())

    def live(self) -> int:
        """How many jobs have not ended."""
        with self.database.read() as connection:
            query = select(func.count()).where(jobs.c.status.not_in(TERMINAL))
            return connection.execute(query).scalar_one()

    def wait_for_epoch(self, job: str, epoch: int) -> None:
        """Return once a job has come beyond that epoch and is being trained."""
        reached = lambda: self.epoch_of(job) > epoch and self.status_of(job) == "running"  # noqa: E731
        wait_until(reached, seconds=60, what=f"{job} beyond epoch {epoch}")

    def did(self, text: str, *, job: str | None = None) -> None:
        """Remember something that is being done."""
        self.deeds.append(deed(text, job=job))

    def submit(self, client: Client, spec: Mapping[str, object], *, like: str | None = None) -> str:
        """Ask for a job, under a name of its own; with `like` it must end as that one did."""
        name = f"asked {next(self._numbers)}"
        id = client.submit({**spec, "name": name})["id"]
        self.accepted.append(id)
        if like:
            self.twins[id] = like
        return id

    def submit_sweep(self, client: Client, spec: Mapping[str, object], *, trials: int) -> str:
        """Ask for a sweep of learning rates, two trials at once."""
        search = {"optimizer.learning_rate": {"log_uniform": [0.001, 0.1]}}
        id = client.submit_sweep({"spec": dict(spec), "search": search, "trials": trials, "parallel": 2})["id"]
        self.trials[id] = trials
        return id

    def settle(self, client: Client, ids: Sequence[str], *, seconds: float = 90) -> list[Any]:
        """The jobs once all are terminal."""
        return [client.wait(id, timeout=seconds) for id in ids]

    def record(self) -> Record:
        """What happened."""
        files = Path(self.parts.environment["TRAINYARD_STORAGE_URL"])
        return recording.read(
            self.database, files, accepted=self.accepted, trials=self.trials, twins=self.twins, deeds=self.deeds
        )


def children(pid: int) -> list[int]:
    """The processes that one started."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def kill_group(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
    """Signal a part and all that it started, as the end of its container or machine does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    if how is signal.SIGKILL:
        process.wait()


@contextmanager
def subject(
    database_url: str,
    folder: Path,
    *,
    workers: int = 2,
    periods: Mapping[str, str] = PERIODS,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Subject]:
    """A service on a migrated database with so many workers of one slot each; yields when all are warm."""
    broker = free_port()
    proxy = Proxy(broker)
    variables = {
        **periods,
        "TRAINYARD_DATA": str(folder / "data"),
        "TRAINYARD_STORAGE_URL": str(folder / "files"),
        "TRAINYARD_DATABASE_URL": database_url,
        "TRAINYARD_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0",
        "TRAINYARD_PORT": str(free_port()),
        "TRAINYARD_SLOTS": "1",
        **(environment or {}),
    }
    install(folder / "site", LOSSES, source=Path(__file__).with_name("losses.py"))
    # A worker that has lost its broker is slow to stop: the proxy goes last.
    with closing(proxy), cluster(variables, folder) as parts:
        made = Subject(database_url, folder, parts, proxy, broker, [f"worker{number}" for number in range(1, workers + 1)])
        made.start_broker()
        for name in made.workers:
            made.start_worker(name)
        made.start_api()
        made.wait_until_warm()
        try:
            yield made
        finally:
            made.database.close()
