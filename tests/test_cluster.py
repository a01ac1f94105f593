"""A cluster: PostgreSQL, Valkey, an API and two workers, one of which dies."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app.persistence.database import Database
from app.persistence.tables import jobs
from tests.servers.cluster import Cluster, cluster
from tests.servers.processes import free_port, wait_until
from tests.servers.service import PERIODS
from trainyard import Client

JOBS, EPOCHS = 4, 1500
KEY = "the cluster's key"


@pytest.fixture
def running_cluster(postgres_url: str, valkey_url: str, tmp_path: Path) -> Iterator[Cluster]:
    environment = {
        **PERIODS,
        "TRAINYARD_DATA": str(tmp_path / "data"),
        "TRAINYARD_DATABASE_URL": postgres_url,
        "TRAINYARD_REDIS_URL": valkey_url,
        "TRAINYARD_STORAGE_URL": str(tmp_path / "files"),
        "TRAINYARD_API_KEY": KEY,
        "TRAINYARD_PORT": str(free_port()),
        "TRAINYARD_SLOTS": "1",
    }
    with cluster(environment, tmp_path) as started:
        started.start("api", ["trainyard", "api"])
        for name in ("first", "second"):
            started.start(name, ["trainyard", "worker"])
        started.wait_until_healthy("api", ["trainyard", "api", "--check"])
        yield started


def test_a_cluster_that_loses_a_worker_finishes_every_job_with_every_epoch_once(
    running_cluster: Cluster, postgres_url: str
) -> None:
    with Client(f"http://127.0.0.1:{running_cluster.environment['TRAINYARD_PORT']}", key=KEY) as client:
        dataset = client.sample("iris")["id"]
        spec = {"dataset": dataset, "target": "species", "epochs": EPOCHS, "batch_size": 8, "pack": False}
        ids = [client.submit({**spec, "seed": seed})["id"] for seed in range(JOBS)]
        database = Database(postgres_url)
        wait_until(lambda: len(owners(database)) == 2, seconds=60, what="both workers to train")
        os.killpg(running_cluster.parts["first"].pid, signal.SIGKILL)

        finished = [client.wait(id, timeout=120) for id in ids]

        assert [job["stop_reason"] for job in finished] == ["max_epochs"] * JOBS
        assert [client.history(id)["epoch"] for id in ids] == [list(range(1, EPOCHS + 1))] * JOBS
        assert 2 in attempts(database)
        database.close()


def owners(database: Database) -> set[str]:
    """Who trains now, with an epoch to show for it."""
    with database.read() as connection:
        query = select(jobs.c.lease_owner).where(jobs.c.status == "running", jobs.c.epoch > 0)
        return set(connection.execute(query).scalars())


def attempts(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(select(jobs.c.attempt)).scalars())


def test_an_older_schema_is_refused_with_what_to_run(postgres_server: str, tmp_path: Path) -> None:
    environment = {"TRAINYARD_DATABASE_URL": postgres_server, "TRAINYARD_REDIS_URL": "redis://127.0.0.1:1/0"}
    with cluster(environment, tmp_path) as started:
        for part in ("api", "worker"):
            done = started.run(["trainyard", part])

            assert done.returncode == 1
            assert done.stderr.endswith("run `trainyard migrate`.\n")
