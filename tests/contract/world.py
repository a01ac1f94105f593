"""The service that the document is held against: what the document's examples name is there, and nothing lasts for long."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2

from app.api.answer_examples import IDS
from app.api.examples import CLONE, IRIS_BY_HAND
from tests.servers.plain import NOBODY
from tests.servers.processes import wait_until
from tests.servers.service import embedded

KEY = "the operator's key of these tests"
LIMITS = {
    "TRAINYARD_API_KEY": KEY,
    "TRAINYARD_MAX_EPOCHS": "20000",
    "TRAINYARD_MAX_LAYERS": "4",
    "TRAINYARD_MAX_PARAMETERS": "50000",
    "TRAINYARD_MAX_TRIALS": "20",
    "TRAINYARD_PROJECT_QUEUED_JOBS": "200",
}
LIVE = ["queued", "running", "pausing", "paused"]
# Whatever waits for a job waits no longer than this and a little.
LONGEST = timedelta(seconds=1.5)
OTHER_DATASET: str = cast(Any, CLONE["weights"]["value"])["set"]["dataset"]
TEXTBOOK = cast(dict[str, Any], IRIS_BY_HAND["textbook"]["value"])


@dataclass(frozen=True)
class World:
    """A service, and a client of it."""

    url: str
    folder: Path
    client: httpx2.Client


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A running service with a worker, an attendant, and one of each thing that an example names."""
    with embedded(folder / "data", environment=LIMITS) as service, _operator(service.url) as client:
        started = World(service.url, service.folder, client)
        _furnish(started)
        with _attendant(service.url):
            yield started


def _operator(url: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60, verify=NOBODY)


def _furnish(world: World) -> None:
    """What the examples name, under the ids that they name."""
    dataset, other = (_made(world, "/v1/datasets", {"sample": "iris"}) for _ in range(2))
    job = _made(world, "/v1/jobs", {**TEXTBOOK, "dataset": dataset, "epochs": 200})
    spec = {"dataset": dataset, "target": "species", "epochs": 20}
    sweep = _made(world, "/v1/sweeps", {"spec": spec, "search": {"seed": {"range": [0, 2]}}, "method": "grid"})
    key = _made(world, "/v1/keys", {})
    wait_until(lambda: not world.client.get("/v1/system").json()["jobs"], seconds=60, what="all jobs to be over")
    [checkpoint] = world.client.get(f"/v1/jobs/{job}/checkpoints").json()["data"]
    made = {"dataset_id": dataset, "job_id": job, "sweep_id": sweep, "checkpoint_id": checkpoint["id"], "key_id": key}
    made["batch_id"] = _made(world, "/v1/batch_predictions", {"job": job, "dataset": dataset, "format": "csv"})
    assert world.client.get(f"/v1/batch_predictions/{made['batch_id']}", params={"wait": 60}).json()["terminal"]
    _made(world, "/v1/models", {"name": "iris"})
    for _ in range(3):
        _made(world, "/v1/models/iris/versions", {"checkpoint": checkpoint["id"]})
    for old, new in [(other, OTHER_DATASET), *((made[kind], IDS[kind]) for kind in made)]:
        _rename(world.folder, old, new)
    _forget_with_each_deletion(world.folder)


def _forget_with_each_deletion(folder: Path) -> None:
    """A first answer is told again for a day, whatever became of what it made; here a day passes with every deletion.

    The tester repeats itself, and would look for what is gone.
    """
    gone = [f"DELETE ON {table}" for table in ("datasets", "jobs", "models", "model_versions", "batch_predictions")]
    told = "DELETE FROM idempotency_keys WHERE status IS NOT NULL"
    with sqlite3.connect(folder / "trainyard.db") as database:
        for number, event in enumerate([*gone, "UPDATE OF revoked_at ON keys"]):
            database.execute(f"CREATE TRIGGER forget_{number} AFTER {event} BEGIN {told}; END")


def _made(world: World, path: str, body: dict[str, Any]) -> str:
    answer = world.client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _rename(folder: Path, old: str, new: str) -> None:
    """In every text of the database, and in the storage."""
    with sqlite3.connect(folder / "trainyard.db") as database:
        for table, column in _columns(database):
            where = f"typeof({column}) = 'text' AND instr({column}, ?)"
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE {where}", (old, new, old))
    for path in (folder / "files").glob(f"*/{old}"):
        path.rename(path.with_name(new))


def _columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [(table, row[1]) for (table,) in tables for row in database.execute(f"PRAGMA table_info({table})").fetchall()]


@contextmanager
def _attendant(url: str) -> Iterator[None]:
    """Somebody who cancels what is not over soon: nobody waits for what is paused, or for a GPU."""
    closed = threading.Event()

    def attend() -> None:
        with _operator(url) as client:
            while not closed.wait(0.25):
                _cancel_old(client)

    thread = threading.Thread(target=attend)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join(60)


def _cancel_old(client: httpx2.Client) -> None:
    before = (datetime.now(UTC) - LONGEST).isoformat()
    wanted: dict[str, Any] = {"status": LIVE, "created_before": before, "limit": 200}
    for job in client.get("/v1/jobs", params=wanted).json()["data"]:
        client.post(f"/v1/jobs/{job['id']}/cancel")
    for batch in client.get("/v1/batch_predictions", params={"limit": 200}).json()["data"]:
        if not batch["terminal"] and batch["created_at"] < before:
            client.post(f"/v1/batch_predictions/{batch['id']}/cancel")
