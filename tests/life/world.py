"""A service and its workers over one real database and one real folder; every call of theirs may be made to fail."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
from sqlalchemy import delete, update

from app.domain.blobs import dataset_key
from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.domain.job import HELD
from app.persistence import datasets, leases, workers
from app.persistence.database import Database, now
from app.persistence.datasets import NewDataset
from app.persistence.tables import idempotency_keys, jobs, metadata, projects
from app.queueing.rates import RedisRates
from app.services.watcher import Watcher
from app.storage.folder import Folder
from app.tabular.description import Description
from app.telemetry.meters import Meters
from app.upkeep.housekeeper import Housekeeper
from app.wiring import serve
from tests.api.service import NO_BROKER, settings_for
from tests.life.luck import Luck, UnluckyDatabase, UnluckyStorage
from worker.pulse import Periods
from worker.trainer import Trainer

FOREVER = 86_400.0
MOST_CRASHES = 3


@dataclass(frozen=True)
class Rows:
    """An uploaded dataset, read once for all worlds."""

    parquet: Path
    description: Description


@dataclass
class RecordingBell:
    """Remembers who was rung for."""

    rung: list[str] = field(default_factory=list)

    def ring(self, job_id: str, device: str) -> None:
        """See Bell.ring."""
        self.rung.append(job_id)

    def check(self) -> bool:
        """See Bell.check."""
        return True


class World:
    """`database` and `storage` never fail: with them the tests look on."""

    def __init__(self, url: str, folder: Path, rows: Rows) -> None:
        self.database, self.storage, self.bell = Database(url), Folder(folder / "files"), RecordingBell()
        self.storage.make()
        torch.set_num_threads(1)  # as a training process does; tiny steps on two threads wait for each other
        self._rows = rows
        self.random = Random(0)
        self._calls, self._deadly = Luck(self.random), Luck(self.random, deadly=True)
        mine, self._workers = UnluckyDatabase(url, self._calls), UnluckyDatabase(url, self._deadly)
        self._opened = (self.database, mine, self._workers)
        self._meters = Meters(folder / "meters")
        self.services = serve(
            settings_for(url, folder / "data"),
            database=mine,
            storage=UnluckyStorage(self.storage, self._calls),
            bell=self.bell,
            rates=RedisRates(NO_BROKER, per_minute=0),
            watcher=Watcher(mine, period=1),
            meters=self._meters,
        )
        self.housekeeper = Housekeeper(mine, self.bell, period=1e-6, max_crashes=MOST_CRASHES, silent_seconds=FOREVER)

    def close(self) -> None:
        """Give every connection back."""
        for database in self._opened:
            database.close()
        self._meters.close()

    def begin(self, seed: int, *, odds: float = 0.0) -> None:
        """Forget everything; from now on each call fails with these odds."""
        self.fail(0.0)
        with self.database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                if table is not projects:
                    connection.execute(delete(table))
        shutil.rmtree(self.storage.root)
        self.storage.root.mkdir()
        self.bell.rung.clear()
        self.random.seed(seed)
        self.fail(odds)

    def fail(self, odds: float) -> None:
        """Let calls fail with these odds."""
        self._calls.odds = self._deadly.odds = odds

    def dataset(self) -> str:
        """A stored dataset of a hundred rows; its id."""
        id, found = new_id("ds"), self._rows.description
        self.storage.put(dataset_key(id), self._rows.parquet.read_bytes())
        new = NewDataset(
            id=id,
            project_id=DEFAULT_PROJECT,
            name=None,
            rows=found.rows,
            bytes=1,
            sha256="0" * 64,
            stored_bytes=1,
            columns=[column.model_dump(mode="json") for column in found.columns],
            statistics=[],
        )
        with self.database.write() as connection:
            datasets.add(connection, new)
        return id

    def work(self, owner: str, *, checkpoint: float, stopping: Callable[[], bool]) -> None:
        """Train what is due, every epoch a report of its own; `stopping` is asked at each claim and after each report."""
        with self.database.write() as connection:
            workers.register(connection, owner, device="cpu", threads=1, torch="2")
        Trainer(
            database=self._workers,
            storage=UnluckyStorage(self.storage, self._deadly),
            name=owner,
            device="cpu",
            threads=1,
            periods=Periods(lease=FOREVER, heartbeat=5, stall=60, checkpoint=checkpoint, report=0),
            stopping=stopping,
        ).work_off(hint="job_none")

    def bury(self, owner: str) -> None:
        """What the parent of a training process does that died."""
        with self.database.write() as connection:
            leases.crashed(connection, owner=owner, max_crashes=MOST_CRASHES)

    def expire(self, owner: str) -> None:
        """The leases of an owner run out, whether it lives or not."""
        held = update(jobs).where(jobs.c.lease_owner == owner, jobs.c.status.in_(HELD))
        with self.database.write() as connection:
            connection.execute(held.values(lease_expires_at=now() - 1))

    def pass_time(self) -> None:
        """Jobs that wait after a crash are due again, and requests under way are given up."""
        with self.database.write() as connection:
            connection.execute(update(jobs).where(jobs.c.claimable_at > now()).values(claimable_at=now()))
            connection.execute(update(idempotency_keys).values(created_at=idempotency_keys.c.created_at - 61_000_000))
