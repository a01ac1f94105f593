"""A worker process without an API beside it: without a broker, with a frozen one, with a child that hangs, told to stop."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.domain.job import Status
from app.persistence import workers
from app.persistence.database import Database
from app.persistence.rows import JobRow
from app.upkeep.valkey import find_server
from tests.servers.cluster import Cluster, cluster
from tests.servers.missing import missing
from tests.servers.processes import command_line, free_port, wait_until
from tests.servers.service import PERIODS
from tests.servers.valkey import valkey
from tests.worker.yard import Yard

LONG = {"epochs": 5_000_000, "batch_size": 8}
PATIENCE = 60


@pytest.fixture
def lone_yard(sqlite_url: str, tmp_path: Path) -> Iterator[Yard]:
    database = Database(sqlite_url)
    yield Yard(database, tmp_path)
    database.close()


@pytest.fixture
def port() -> int:
    """Where the broker is, or is not."""
    return free_port()


@pytest.fixture
def place(lone_yard: Yard, sqlite_url: str, port: int, tmp_path: Path) -> Iterator[Cluster]:
    environment = {
        **PERIODS,
        "TRAINYARD_DATA": str(tmp_path / "data"),
        "TRAINYARD_DATABASE_URL": sqlite_url,
        "TRAINYARD_REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "TRAINYARD_STORAGE_URL": str(lone_yard.storage.root),
        "TRAINYARD_SLOTS": "1",
        "TRAINYARD_IDLE_SECONDS": "0.2",
        "TRAINYARD_STALL_SECONDS": "10",
    }
    with cluster(environment, tmp_path) as started:
        yield started


def start(place: Cluster) -> subprocess.Popen[bytes]:
    return place.start("worker", ["trainyard", "worker"])


def wait_for(yard: Yard, job: JobRow, status: Status) -> None:
    wait_until(lambda: yard.job(job.id).status is status, seconds=PATIENCE, what=f"the job to be {status}")


def wait_for_epochs(yard: Yard, job: JobRow, *, beyond: int = 0) -> None:
    wait_until(lambda: yard.job(job.id).epoch > beyond, seconds=PATIENCE, what="epochs")


def child(yard: Yard) -> int:
    """The training process."""
    with yard.database.read() as connection:
        return int(workers.every(connection)[-1].id.rpartition(":")[2])


def test_jobs_are_trained_without_a_broker_and_with_a_frozen_one(place: Cluster, lone_yard: Yard, port: int) -> None:
    binary = find_server()
    if binary is None:
        missing("Valkey")
    first = lone_yard.submit(**LONG)
    start(place)
    wait_for_epochs(lone_yard, first)
    os.kill(child(lone_yard), signal.SIGKILL)
    wait_until(lambda: lone_yard.job(first.id).attempt > 1, seconds=PATIENCE, what="a successor that has the job")
    lone_yard.ask(first, Status.CANCELLING)
    wait_for(lone_yard, first, Status.CANCELLED)

    with ExitStack() as stack:
        stack.enter_context(valkey(binary, port=port))
        [server] = [int(path.name) for path in Path("/proc").glob("[0-9]*") if is_server(path, port)]
        os.kill(server, signal.SIGSTOP)
        stack.callback(os.kill, server, signal.SIGCONT)
        second = lone_yard.submit()
        wait_for(lone_yard, second, Status.SUCCEEDED)
    told = [json.loads(line) for line in place.log("worker").read_text().splitlines()]
    assert [line["logger"] for line in told if "signal 9 (SIGKILL)" in line["event"]] == ["multiprocessing"]


def is_server(process: Path, port: int) -> bool:
    """True for Valkey, which writes where it listens into its title."""
    title = command_line(int(process.name))
    return "-server " in title and title.rstrip().endswith(f":{port}")


def test_a_training_process_that_hangs_is_replaced_and_its_job_goes_on(
    place: Cluster, lone_yard: Yard, port: int, valkey_url: str
) -> None:
    place.environment = {**place.environment, "TRAINYARD_REDIS_URL": valkey_url, "TRAINYARD_STALL_SECONDS": "3"}
    job = lone_yard.submit(**LONG)
    start(place)
    wait_for_epochs(lone_yard, job)
    hanging = child(lone_yard)

    os.kill(hanging, signal.SIGSTOP)

    wait_until(lambda: lone_yard.job(job.id).attempt > 1, seconds=PATIENCE, what="another attempt")
    [lost] = [event for event in lone_yard.events(job) if event.type == "job.worker_lost"]
    assert lost.data["how"] == "stalled"
    assert child(lone_yard) != hanging


@pytest.mark.parametrize("whole_group", [False, True], ids=["the worker", "the whole group"])
def test_a_worker_that_is_told_to_stop_even_twice_gives_its_job_back_where_it_stands(
    place: Cluster, lone_yard: Yard, whole_group: bool
) -> None:
    job = lone_yard.submit(**LONG)
    worker = start(place)
    wait_for_epochs(lone_yard, job)

    for _ in range(2):
        (os.killpg if whole_group else os.kill)(worker.pid, signal.SIGTERM)

    worker.wait(timeout=30)
    left = lone_yard.job(job.id)
    assert (left.status, left.crashes) == (Status.QUEUED, 0)
    assert lone_yard.events(job)[-1].type == "job.yielded"
    assert lone_yard.points(job)[0].epoch == left.epoch == lone_yard.history(job).epoch[-1]
    with lone_yard.database.read() as connection:
        assert workers.every(connection) == []


def test_a_training_process_whose_parent_dies_gives_its_job_back(place: Cluster, lone_yard: Yard) -> None:
    job = lone_yard.submit(**LONG)
    worker = start(place)
    wait_for_epochs(lone_yard, job)

    worker.kill()

    wait_for(lone_yard, job, Status.QUEUED)
    assert lone_yard.events(job)[-1].type == "job.yielded"
