"""The database goes away, is written to by many at once, or sees processes die over it."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from app.persistence import claims
from app.persistence.database import Database
from tests.conftest import migrated
from tests.faults.database import outliving
from tests.faults.invariants import check
from tests.faults.subject import SLOW, kill, subject
from tests.persistence.jobs import queued
from tests.servers.processes import wait_until
from trainyard import Client

SPEC = {**SLOW, "epochs": 60, "batch_size": 8}


@pytest.mark.parametrize("stops", [1, pytest.param(3, marks=pytest.mark.faults)])
def test_a_job_outlives_a_database_that_is_stopped_at_once(tmp_path: Path, stops: int) -> None:
    periods = {"TRAINYARD_HOUSEKEEPING_SECONDS": "0.5"}  # the lease and the recovery points are as they come
    with (
        outliving() as (url, outage),
        subject(url, tmp_path, workers=1, periods=periods) as served,
        Client(served.url) as client,
    ):
        spec = {**SPEC, "dataset": client.sample("iris")["id"]}
        undisturbed = served.submit(client, spec)
        served.settle(client, [undisturbed])
        job = served.submit(client, spec, like=undisturbed)
        for stop in range(stops):
            served.wait_for_epoch(job, 5 * (stop + 1))
            served.did("the database is stopped")
            outage.stop()
            outage.start()

        [ended] = served.settle(client, [job])

        assert ended["status"] == "succeeded"
        assert ended["attempt"] <= stops + 1  # one that fell between two reports was not even noticed
        check(served.record())


@pytest.mark.faults
def test_eight_workers_claim_each_of_a_thousand_jobs_once(database: Database) -> None:
    ids = {queued(database).id for _ in range(1000)}

    def work(worker: int) -> list[str]:
        mine: list[str] = []
        while True:
            with database.write() as connection:
                claimed = claims.claim(connection, owner=f"host:{worker}", devices=["auto"], lease_seconds=600)
            if not claimed:
                return mine
            mine += [job.id for job in claimed]

    with ThreadPoolExecutor(8) as pool:
        found = [id for mine in pool.map(work, range(8)) for id in mine]

    assert len(found) == 1000
    assert set(found) == ids


@pytest.mark.faults
def test_a_sqlite_file_stays_whole_under_four_workers_readers_and_kills(tmp_path: Path) -> None:
    path, over = tmp_path / "trainyard.db", Event()

    def read(url: str) -> int:
        reads = 0
        while not over.is_set():
            with Client(url) as client:
                reads += sum(len(client.history(job["id"])["epoch"]) > 0 for job in client.jobs(limit=10))
        return reads

    with subject(migrated(f"sqlite:///{path}"), tmp_path, workers=4) as served, Client(served.url) as client:
        spec = {**SPEC, "dataset": client.sample("iris")["id"]}
        ids = [served.submit(client, spec) for _ in range(12)]
        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read, served.url) for _ in range(2)]
            for _ in range(6):
                wait_until(lambda: bool(served.running(most_crashes=1)), seconds=60)
                pid = served.trainer_of(served.running(most_crashes=1)[0])
                served.did("SIGKILL of a process")
                kill(pid or 0)
                wait_until(lambda pid=pid: pid not in served.training(), seconds=60)  # type: ignore[misc]
            ended = served.settle(client, ids, seconds=300)
            over.set()
            assert all(reader.result() > 0 for reader in readers)
        assert {job["status"] for job in ended} == {"succeeded"}
        check(served.record())
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
