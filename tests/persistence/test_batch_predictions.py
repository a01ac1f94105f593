"""Batch predictions in line with jobs, and under their fence; on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, select

from app.domain.caller import DEFAULT_PROJECT
from app.domain.crashes import Crash
from app.domain.job import Status, StopReason
from app.persistence import batch_leases, batch_predictions, claims, counts, due, leases, line, projects
from app.persistence.batch_leases import fence_of
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.counts import Counted
from app.persistence.database import Database
from app.persistence.leases import LeaseLost
from app.persistence.rows import JobRow
from app.persistence.tables import batch_parts
from tests.persistence.batches import aged, asked, found, part
from tests.persistence.jobs import queued


def claim(database: Database, *, owner: str = "host:1", lease: float = 30, most: int = 0) -> list[str]:
    """The ids of what is taken."""
    with database.write() as connection:
        taken = due.claim(connection, owner=owner, devices=["auto", "cpu"], lease_seconds=lease, most_running=most)
    if isinstance(taken, BatchPredictionRow):
        return [taken.id]
    return [job.id for job in taken or ()]


def held(database: Database, *, lease: float = 30) -> BatchPredictionRow:
    """One that is claimed."""
    row = asked(database)
    assert claim(database, lease=lease) == [row.id]
    return found(database, row)


def project(database: Database, name: str) -> str:
    with database.write() as connection:
        return projects.find_or_add(connection, name)


def test_a_project_s_jobs_and_batch_predictions_are_claimed_by_their_age(database: Database) -> None:
    waiting: list[JobRow | BatchPredictionRow] = [queued(database), asked(database), asked(database), queued(database)]
    aged(database, *waiting)

    assert [claim(database) for _ in range(5)] == [[one.id] for one in waiting] + [[]]


def test_a_priority_goes_before_age_and_a_batch_prediction_has_that_of_a_job_which_has_none(database: Database) -> None:
    low, batch, high = queued(database, priority=-1), asked(database), queued(database, priority=1)

    assert [claim(database) for _ in range(3)] == [[high.id], [batch.id], [low.id]]


def test_projects_take_turns_whatever_they_wait_for(database: Database) -> None:
    other = project(database, "b")
    batches = [asked(database) for _ in range(3)]
    jobs = [queued(database, project_id=other) for _ in range(2)]

    assert [claim(database) for _ in range(5)] == [[one.id] for one in (batches[0], jobs[0], batches[1], jobs[1], batches[2])]


def test_a_crowd_of_batch_predictions_starves_no_job_of_another_project(database: Database) -> None:
    for _ in range(20):
        asked(database)
    claim(database)
    job = queued(database, project_id=project(database, "single"))

    assert claim(database) == [job.id]


def test_both_count_for_a_project_s_quota_of_what_runs(database: Database) -> None:
    batch, job, other = asked(database), queued(database), asked(database, project_id=project(database, "b"))
    aged(database, batch, job, other)

    assert claim(database, most=1) == [batch.id]
    assert claim(database, most=1) == [other.id]
    assert claim(database, most=1) == []
    with database.read() as connection:
        assert line.queue_positions(connection, [job], most_running=1) == {job.number: 1}


def test_eight_workers_take_each_once(database: Database) -> None:
    waiting = {asked(database).id for _ in range(12)} | {queued(database).id for _ in range(12)}

    def work(number: int) -> list[str]:
        mine: list[str] = []
        while taken := claim(database, owner=f"host:{number}"):
            mine += taken
        return mine

    with ThreadPoolExecutor(8) as pool:
        taken = [id for mine in pool.map(work, range(8)) for id in mine]

    assert len(taken) == 24
    assert set(taken) == waiting


@pytest.mark.parametrize(
    ("asked_for", "becomes"),
    [(None, Status.QUEUED), (Status.PAUSING, Status.PAUSED), (Status.CANCELLING, Status.CANCELLED)],
)
def test_a_lease_that_ran_out_returns_it_as_its_caller_asked(
    database: Database, asked_for: Status | None, becomes: Status
) -> None:
    row = held(database, lease=0)
    with database.write() as connection:
        if asked_for:
            batch_predictions.change_status(connection, row.number, old=Status.RUNNING, new=asked_for)
        [lost] = batch_leases.crashed(connection, expired=True, max_crashes=3)

    assert (lost.status, lost.crashes, lost.lease_owner) == (becomes, 1, None)
    assert (lost.finished_at is not None) == becomes.terminal
    with database.read() as connection:
        assert counts.totals(connection)[Counted.ATTEMPTS_LOST, Crash.SILENT] == 1


def test_a_part_sets_the_count_of_crashes_back_and_without_one_the_third_is_the_last(database: Database) -> None:
    row = asked(database)
    for number in range(6):
        assert claim(database) == [row.id]
        with database.write() as connection:
            if number == 2:
                batch_leases.advance(connection, fence_of(found(database, row)), part(0), seconds=1, warnings=[], kept=0)
            batch_leases.crashed(connection, owner="host:1", crash=Crash.KILLED, max_crashes=3, back_off_seconds=0)
        if found(database, row).status.terminal:
            break

    ended = found(database, row)
    assert (ended.status, ended.attempt, ended.error_code) == (Status.FAILED, 5, StopReason.WORKER_LOST)
    assert "killed from outside" in str(ended.error_message)


def test_who_lost_it_writes_nothing(database: Database) -> None:
    row = held(database, lease=0)
    with database.write() as connection:
        batch_leases.crashed(connection, expired=True, max_crashes=3, back_off_seconds=0)
    assert claim(database, owner="host:2") == [row.id]

    with database.write() as connection:
        assert leases.prolong(connection, fence_of(row), lease_seconds=30) is None
        assert leases.renew(connection, [fence_of(row)], lease_seconds=30) == [fence_of(row)]
    writes: list[Callable[[Connection], object]] = [
        lambda on: batch_leases.advance(on, fence_of(row), part(0), seconds=1, warnings=[], kept=0),
        lambda on: batch_leases.succeed(on, fence_of(row)),
        lambda on: batch_leases.fail(on, fence_of(row), StopReason.INTERNAL_ERROR, ""),
        lambda on: batch_leases.give_back(on, fence_of(row)),
    ]
    for write in writes:
        with pytest.raises(LeaseLost), database.write() as connection:
            write(connection)

    assert (found(database, row).predicted, found(database, row).lease_owner) == (0, "host:2")
    with database.read() as connection:
        assert connection.execute(select(batch_parts)).all() == []


def test_a_job_s_fence_holds_no_batch_prediction_of_the_same_number(database: Database) -> None:
    row, job = held(database), queued(database)
    assert claim(database) == [job.id]
    assert job.number == row.number

    with database.write() as connection:
        leases.crashed(connection, owner="host:1", max_crashes=3)

    assert found(database, row).status is Status.RUNNING


def test_a_live_one_needs_its_dataset(database: Database) -> None:
    row = asked(database, dataset="ds_2")
    with database.write() as connection:
        before = batch_predictions.needing(connection, "ds_2"), batch_predictions.needing(connection, "ds_1")
        batch_predictions.change_status(connection, row.number, old=Status.QUEUED, new=Status.CANCELLED)
        after = batch_predictions.needing(connection, "ds_2")

    assert (before, after) == ((1, 0), 0)


def test_rows_are_counted_with_their_parts(database: Database) -> None:
    row = held(database)
    for number in range(2):
        with database.write() as connection:
            batch_leases.advance(connection, fence_of(row), part(number), seconds=0.5, warnings=[], kept=0)

    now = found(database, row)
    assert (now.predicted, now.parts, now.bytes, now.seconds, row.project_id) == (20, 2, 10, 1.0, DEFAULT_PROJECT)
    with database.read() as connection:
        assert counts.totals(connection)[Counted.BATCH_ROWS, ""] == 20


def test_a_pack_is_small_while_a_batch_prediction_waits(database: Database) -> None:
    for _ in range(100):
        queued(database, pack=True)
    waiting = asked(database)

    assert len(claim(database)) == claims.FEW
    with database.write() as connection:
        batch_predictions.change_status(connection, waiting.number, old=Status.QUEUED, new=Status.CANCELLED)
    assert len(claim(database)) > claims.FEW
