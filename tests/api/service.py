"""A whole API process in a thread, on a free port, with a client; and a worker's hand in its database."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import uvicorn
from sqlalchemy import Connection

from app.api.protocol import Protocol
from app.domain.blobs import checkpoint_key, described
from app.domain.caller import DEFAULT_PROJECT
from app.domain.history import EpochColumns, EpochLosses, HeldOut
from app.domain.ids import new_id
from app.domain.job import Status, StopReason
from app.domain.schema import Column, Kind, StorageType
from app.main import create_app
from app.persistence import checkpoints, claims, datasets, events, jobs, leases, reports
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.datasets import NewDataset
from app.persistence.leases import Ending, Fence
from app.persistence.reports import Progress
from app.persistence.rows import JobRow
from app.settings import Settings
from app.storage.folder import Folder
from tests.contract import answers
from tests.servers.processes import wait_until

NO_BROKER = "redis://127.0.0.1:1/0"
CSV = b"size,city,label\n" + b"".join(
    b"%d.5,%s,%s\n" % (i, (b"Ulm", b"Bonn")[i % 2], (b"no", b"yes")[i % 2]) for i in range(40)
)
LEASE_SECONDS = 60.0


def settings_for(database_url: str, folder: Path, **changes: object) -> Settings:
    """Settings of a service for tests: nobody else's environment, no broker, a housekeeper that keeps out of the way."""
    quiet: dict[str, object] = {"housekeeping_seconds": 3600, "watch_seconds": 0.02, "log_level": "error"}
    chosen = {"database_url": database_url, "data": folder, "redis_url": NO_BROKER, **quiet, **changes}
    return Settings(**cast(dict[str, Any], chosen))


@dataclass
class Service:
    """A running API process."""

    settings: Settings
    database: Database
    client: httpx2.Client
    server: uvicorn.Server

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The JSON of a GET that must succeed."""
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    def post(self, path: str, json: object = None, *, status: int = 200) -> dict[str, Any]:
        """The JSON of a POST that must answer so."""
        answer = self.client.post(path, json=json)
        assert answer.status_code == status, answer.text
        return cast(dict[str, Any], answer.json())

    def upload(self, content: bytes = CSV, *, type: str = "text/csv", **params: str) -> dict[str, Any]:
        """A dataset."""
        answer = self.client.post("/v1/datasets", content=content, headers={"Content-Type": type}, params=params)
        assert answer.status_code == 201, answer.text
        return cast(dict[str, Any], answer.json())

    def described(self) -> str:
        """The id of a dataset with a row and no bytes: enough where nobody reads it, and much quicker."""
        id = new_id("ds")
        size = Column(name="size", kind=Kind.NUMERIC, type=StorageType.FLOAT64, missing=0, distinct=40)
        label = Column(
            name="label",
            kind=Kind.CATEGORICAL,
            type=StorageType.STRING,
            missing=0,
            distinct=2,
            levels=["no", "yes"],
            counts=[20, 20],
        )
        columns = [column.model_dump(mode="json") for column in (size, label)]
        new = NewDataset(
            id=id,
            project_id=DEFAULT_PROJECT,
            name=None,
            rows=40,
            bytes=1,
            sha256="0" * 64,
            stored_bytes=1,
            columns=columns,
            statistics=[],
        )
        with self.database.write() as connection:
            datasets.add(connection, new)
        return id

    def submit(self, **spec: object) -> dict[str, Any]:
        """A queued job on a small dataset."""
        dataset = spec.pop("dataset", None) or self.described()
        return self.post("/v1/jobs", {"dataset": dataset, "target": "label", "epochs": 100, **spec}, status=201)


@contextmanager
def running(settings: Settings) -> Iterator[Service]:
    """Start the service, and stop it as SIGTERM would."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="error", lifespan="on", http=Protocol)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    database = Database(settings.resolved_database_url)
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        with answers.client(f"http://127.0.0.1:{port}", seconds=30) as client:
            yield Service(settings, database, client, server)
    finally:
        server.should_exit = True
        thread.join(20)
        database.close()
        assert not thread.is_alive()


@dataclass
class Trained:
    """A worker's hand: claims the queued job and writes what a training process would."""

    service: Service
    job: JobRow = field(init=False)

    def __post_init__(self) -> None:
        """Claim."""
        self.claim()

    def claim(self) -> None:
        """Take the job that is due."""
        with self.service.database.write() as connection:
            [self.job] = claims.claim(connection, owner="test", devices=["auto", "cpu"], lease_seconds=LEASE_SECONDS)

    @property
    def fence(self) -> Fence:
        """Of the present attempt."""
        return Fence(self.job.number, self.job.attempt)

    def train(
        self,
        first: int,
        last: int,
        *,
        loss: Mapping[int, float | None] | None = None,
        accuracy: Mapping[int, float | None] | None = None,
    ) -> Status:
        """Report epochs first to last; the loss is 1/epoch and the accuracy 0.5 unless said otherwise."""
        epochs = list(range(first, last + 1))
        losses = [(loss or {}).get(epoch, 1 / epoch) for epoch in epochs]
        columns = EpochColumns(
            epoch=epochs,
            train_loss=losses,
            val_loss=losses,
            learning_rate=[0.001] * len(epochs),
            seconds=[epoch / 1000 for epoch in epochs],
            metrics={"val_accuracy": [(accuracy or {}).get(epoch, 0.5) for epoch in epochs]},
        )
        return self._report(columns, EpochLosses.of(last, train=1 / last, val=1 / last))

    def measure(self, **metrics: float) -> None:
        """Report that the first epoch is the best, with these metrics."""
        losses = EpochLosses.of(1, train=1.0, val=1.0, metrics=metrics.items())
        self._report(EpochColumns(), losses)

    def go_on(self) -> None:
        """Report that there is nothing new yet, as after a crash before the first recovery point."""
        nothing = Progress(epochs=EpochColumns(), epoch=0, seconds=None, latest=None, best=None)
        with self.service.database.write() as connection:
            reports.record(connection, self.fence, nothing, lease_seconds=LEASE_SECONDS)

    def diverge(self, epoch: int) -> None:
        """Report that the best epoch has no loss that is a number."""
        self._report(EpochColumns(), EpochLosses.of(epoch, train=math.nan, val=math.nan))

    def _report(self, columns: EpochColumns, best: EpochLosses) -> Status:
        seconds = best.epoch / 1000
        progress = Progress(epochs=columns, epoch=best.epoch, seconds=seconds, latest=best, best=best)
        with self.service.database.write() as connection:
            return reports.record(connection, self.fence, progress, lease_seconds=LEASE_SECONDS)

    def checkpoint(self, epoch: int, *kinds: str, files: Mapping[str, bytes] | None = None) -> str:
        """Keep a checkpoint beside those there are: bytes, row, event."""
        return self._keep(epoch, kinds, files, lambda connection, new: checkpoints.add(connection, new))

    def publish(self, epoch: int, *kinds: str, files: Mapping[str, bytes] | None = None) -> str:
        """The same as the worker does it: what is best, last or kept no more goes, but for its bytes."""
        return self._keep(epoch, kinds, files, lambda connection, new: checkpoints.publish(connection, new, keep=1))

    def _keep(
        self,
        epoch: int,
        kinds: Sequence[str],
        files: Mapping[str, bytes] | None,
        store: Callable[[Connection, NewCheckpoint], object],
    ) -> str:
        id, content = new_id("ckpt"), files or {"model.json": b'{"made": "for a test"}'}
        for name, data in content.items():
            Folder(Path(self.service.settings.resolved_storage_url)).put(checkpoint_key(id, described(name, data)), data)
        new = NewCheckpoint(
            id=id,
            project_id=DEFAULT_PROJECT,
            job_number=self.job.number,
            kinds=frozenset(kinds),
            losses=EpochLosses.of(epoch, train=1 / epoch, val=None, metrics=[("val_accuracy", 0.5)]),
            files=[described(name, data) for name, data in content.items()],
        )
        with self.service.database.write() as connection:
            leases.note(connection, self.fence)
            store(connection, new)
            events.append(connection, self.job.number, "job.checkpoint", checkpoint=id, epoch=epoch, kinds=sorted(kinds))
        return id

    def crash(self) -> None:
        """Die; the job is queued again, and due."""
        with self.service.database.write() as connection:
            leases.crashed(connection, owner="test", max_crashes=5, back_off_seconds=0)

    def finish(
        self, reason: StopReason = StopReason.MAX_EPOCHS, *, message: str | None = None, test: HeldOut | None = None
    ) -> None:
        """End the job."""
        with self.service.database.write() as connection:
            leases.finish(connection, self.fence, Ending(reason=reason, message=message, test=test))


def row_of(service: Service, id: str) -> JobRow:
    """A job's row."""
    with service.database.read() as connection:
        row = jobs.find(connection, id, project_id=DEFAULT_PROJECT)
    assert row is not None
    return row


def pointers(answer: httpx2.Response) -> Sequence[str]:
    """Where the faults of a refused request are."""
    assert answer.status_code == 422, answer.text
    return sorted(fault.get("pointer", fault.get("parameter", fault.get("header"))) for fault in answer.json()["errors"])


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The one shape of every error."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = cast(dict[str, Any], answer.json())
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code), answer.text
    assert {"type", "title", "detail", "instance", "request_id"} <= document.keys()
    assert answer.headers["x-request-id"] == document["request_id"]
    return document


def damage(service: Service, checkpoint: str, name: str) -> None:
    """One bit of a stored file turns over."""
    [path] = (Path(service.settings.resolved_storage_url) / "checkpoints" / checkpoint).glob(f"*-{name}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
