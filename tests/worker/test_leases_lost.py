"""A job that is taken away while it trains, on both databases: counted, told with its ids, and the others go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, update
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.domain.crashes import Crash
from app.domain.job import Status
from app.logs import configure_logs
from app.persistence import counts, leases
from app.persistence.database import Database
from app.persistence.tables import jobs
from tests.worker.batches import Batches
from tests.worker.yard import CSV, OWNER, Yard
from worker.pulse import Pulse
from worker.trainer import Trainer


@pytest.mark.parametrize("pack", [False, True])
def test_a_lost_lease_is_counted_and_told_with_the_ids_of_its_job(yard: Yard, pack: bool) -> None:
    lost, *others = [yard.submit(pack=pack, seed=seed) for seed in range(1 + pack)]
    with yard.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.number == lost.number).values(request_id="req_1"))

    def take_away() -> None:
        if yard.reports == 5:
            with yard.database.write() as connection:
                # The neighbour keeps its lease.
                connection.execute(update(jobs).where(jobs.c.number != lost.number).values(lease_owner="else:1"))
                leases.crashed(connection, owner=OWNER, crash=Crash.KILLED, max_crashes=3, back_off_seconds=3600)

    yard.on_report = take_away
    configure_logs("info")  # another test in this process may have set another level
    with capture_logs(processors=[merge_contextvars]) as told:
        yard.work()

    with yard.database.read() as connection:
        totals = counts.totals(connection)
    assert (totals["leases_lost", ""], totals["attempts_lost", "killed"]) == (1, 1)
    assert [yard.job(job.id).status for job in others] == [Status.SUCCEEDED] * len(others)
    [line] = [entry for entry in told if entry["event"] == "lease.lost"]
    assert (line["job"], line["attempt"], line["request_id"]) == (lost.id, 1, "req_1")
    left, *_ = [entry for entry in told if entry["event"] == "jobs.left" and lost.id in entry["jobs"]]
    assert ("job" in left, left["jobs"]) == (not pack, [lost.id, *(job.id for job in others)])


class Beaten(Database):
    """Each commit is followed by a beat, so also that of a job's end, before its run does anything else."""

    pulse: Pulse | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        pulse, self.pulse = self.pulse, None  # a beat commits, too
        if pulse:
            pulse.beat()
        self.pulse = pulse


class Beating(Trainer):
    def __init__(self, beaten: Beaten, *, database: Database, **parts: Any) -> None:
        super().__init__(database=beaten, **parts)
        beaten.pulse = self._pulse


def lost(yard: Yard) -> list[list[str] | None]:
    """The jobs that each line names; those of the training loop name theirs otherwise."""
    beaten = Beaten(yard.database.engine.url.render_as_string(hide_password=False))
    yard.trainer = partial(Beating, beaten)
    configure_logs("info")
    with capture_logs() as told:
        yard.work()
    beaten.close()
    return [entry.get("jobs") for entry in told if entry["event"] == "lease.lost"]


def test_a_beat_right_after_the_end_or_the_return_of_a_job_misses_no_lease(yard: Yard) -> None:
    rates = [0.01, 0.01, 0.01, 1e30, 0.01]
    pack = [
        yard.submit(pack=True, seed=seed, optimizer={"name": "sgd", "learning_rate": rate}, epochs=8 + 40 * (seed > 0))
        for seed, rate in enumerate(rates)
    ]

    def ask() -> None:
        if yard.reports == 7:
            yard.ask(pack[1], Status.CANCELLING)
            yard.ask(pack[2], Status.PAUSING)

    yard.on_report, yard.stop_after = ask, 20

    assert lost(yard) == []

    ends = [yard.job(job.id).status for job in pack]
    assert ends == [Status.SUCCEEDED, Status.CANCELLED, Status.PAUSED, Status.FAILED, Status.QUEUED]


def test_a_beat_right_after_the_end_of_a_batch_prediction_misses_no_lease(yard: Yard) -> None:
    batches = Batches.trained(yard)
    asked = batches.ask(yard.upload(CSV))

    assert lost(yard) == []

    assert batches.row(asked).status is Status.SUCCEEDED


def test_a_lease_that_is_lost_is_told_by_the_next_beat(yard: Yard) -> None:
    job = yard.submit()
    yard.on_report = lambda: yard.lose(job) if yard.reports == 5 else None

    assert lost(yard) == [[job.id], None]
