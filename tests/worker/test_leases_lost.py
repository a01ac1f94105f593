"""A job that is taken away while it trains, on both databases: counted, told with its ids, and the others go on."""

import pytest
from sqlalchemy import update
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.domain.crashes import Crash
from app.domain.job import Status
from app.logs import configure_logs
from app.persistence import counts, leases
from app.persistence.tables import jobs
from tests.worker.yard import OWNER, Yard


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
