"""Counters that only grow, on both databases."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select, update

from app.domain.crashes import Crash
from app.domain.history import EpochColumns
from app.domain.job import Status, StopReason
from app.persistence import claims, counts, jobs, leases, reports
from app.persistence.counts import Counted
from app.persistence.database import Database, now
from app.persistence.leases import Ending, Fence
from app.persistence.reports import Progress
from app.persistence.rows import JobRow
from app.persistence.tables import counts as counts_table
from app.persistence.tables import jobs as jobs_table
from tests.persistence.jobs import queued

OWNER = "host:1"


def totals(database: Database) -> counts.Totals:
    with database.read() as connection:
        return counts.totals(connection)


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(counts_table)).scalar_one()


def claimed(database: Database) -> JobRow:
    queued(database)
    with database.write() as connection:
        return claims.claim(connection, owner=OWNER, devices=["auto", "cpu"], lease_seconds=30)[0]


def report(database: Database, job: JobRow, epoch: int) -> None:
    progress = Progress(epochs=EpochColumns(), epoch=epoch, seconds=None, latest=None, best=None)
    with database.write() as connection:
        reports.record(connection, Fence(job.number, job.attempt), progress, lease_seconds=30)


def test_epochs_count_as_they_are_reported_and_stay_when_the_job_is_deleted(database: Database) -> None:
    job = claimed(database)
    for epoch in (3, 3, 10):
        report(database, job, epoch)
    with database.write() as connection:
        leases.finish(connection, Fence(job.number, job.attempt), Ending(reason=StopReason.MAX_EPOCHS))
        jobs.remove(connection, job.number)

    assert totals(database) == {("epochs", ""): 10, ("jobs_finished", "max_epochs"): 1}


def test_epochs_that_a_crash_took_back_count_again_when_they_are_trained_again(database: Database) -> None:
    first = claimed(database)
    report(database, first, 5)
    with database.write() as connection:
        leases.crashed(connection, owner=OWNER, crash=Crash.KILLED, max_crashes=3, back_off_seconds=0)
    with database.write() as connection:
        [second] = claims.claim(connection, owner=OWNER, devices=["auto", "cpu"], lease_seconds=30)
    report(database, second, 7)

    assert totals(database) == {("epochs", ""): 5 + 7, ("attempts_lost", "killed"): 1}


def test_every_way_to_the_end_of_a_job_counts_once(database: Database) -> None:
    running, _, waiting = claimed(database), claimed(database), queued(database)
    with database.write() as connection:
        for _ in range(2):
            jobs.change_status(connection, waiting.number, old=Status.QUEUED, new=Status.CANCELLED)
        jobs.change_status(connection, running.number, old=Status.RUNNING, new=Status.CANCELLING)
        leases.give_back(connection, Fence(running.number, running.attempt))
        leases.crashed(connection, owner=OWNER, crash=Crash.FAULT, max_crashes=1)

    assert totals(database) == {
        ("jobs_finished", "cancelled"): 2,
        ("jobs_finished", "worker_lost"): 1,
        ("attempts_lost", "fault"): 1,
    }


def test_what_is_rolled_back_was_not_counted(database: Database) -> None:
    with database.engine.connect() as connection:
        counts.add(connection, Counted.EPOCHS, times=5)
        connection.rollback()

    assert totals(database) == {}


def test_many_increments_become_one_row_for_each_counter(database: Database) -> None:
    with database.write() as connection:
        for _ in range(30):
            counts.add(connection, Counted.EPOCHS, times=2**40)
            counts.add(connection, Counted.ATTEMPTS_LOST, Crash.KILLED)
    before = totals(database)
    for beyond in (100, 10):
        with database.write() as connection:
            counts.add_up(connection, beyond=beyond)
        assert rows(database) == {100: 60, 10: 2}[beyond]

    assert totals(database) == before == {("epochs", ""): 30 * 2**40, ("attempts_lost", "killed"): 30}


def test_nothing_gets_lost_while_several_add_up_and_count(database: Database) -> None:
    def count(number: int) -> None:
        for _ in range(25):
            with database.write() as connection:
                counts.add(connection, Counted.EPOCHS)
                if number % 2:
                    counts.add_up(connection, beyond=3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))

    assert totals(database) == {("epochs", ""): 200}


def test_the_longest_wait_is_of_the_oldest_job_that_can_be_claimed(database: Database) -> None:
    old, paused, later = queued(database), queued(database, device="cuda"), queued(database, device="cpu")
    with database.write() as connection:
        hour = jobs_table.c.claimable_at - 3_600_000_000
        connection.execute(
            update(jobs_table).where(jobs_table.c.number.in_([old.number, paused.number])).values(claimable_at=hour)
        )
        connection.execute(update(jobs_table).where(jobs_table.c.number == later.number).values(claimable_at=now() + 10**9))
        jobs.change_status(connection, paused.number, old=Status.QUEUED, new=Status.PAUSED)
        jobs.change_status(connection, paused.number, old=Status.PAUSED, new=Status.QUEUED)
        waits = jobs.longest_waits(connection)

    assert {device: seconds // 3600 for device, seconds in waits.items()} == {"auto": 1, "cuda": 0}
