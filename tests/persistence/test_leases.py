"""The lease and its fence, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from app.domain.caller import DEFAULT_PROJECT
from app.domain.history import EpochColumns, EpochLosses
from app.domain.job import Status, StopReason, devices_taken
from app.persistence import claims, epochs, events, jobs, leases, line, recovery, reports
from app.persistence.database import Database, now
from app.persistence.leases import SECOND, Ending, Fence, LeaseLost
from app.persistence.reports import Progress
from app.persistence.rows import JobRow, RecoveryRow
from app.persistence.tables import jobs as jobs_table
from app.persistence.tables import projects
from tests.persistence.jobs import queued

OWNER = "host:1"


def claim(database: Database, owner: str = OWNER) -> JobRow | None:
    """The job that is due; these specs fit into no pack."""
    with database.write() as connection:
        [*pack] = claims.claim(connection, owner=owner, devices=["auto", "cpu"], lease_seconds=30)
    return pack[0] if pack else None


def claimed(database: Database) -> JobRow:
    queued(database)
    job = claim(database)
    assert job is not None
    return job


def trained(first: int, last: int) -> Progress:
    numbers = list(range(first, last + 1))
    columns = EpochColumns(
        epoch=numbers,
        train_loss=[1.0 / number for number in numbers],
        val_loss=[2.0 / number for number in numbers],
        learning_rate=[0.01] * len(numbers),
        seconds=[0.1 * number for number in numbers],
    )
    return Progress(epochs=columns, epoch=last, seconds=0.1 * last, latest=EpochLosses.of(last, train=1, val=2), best=None)


def fence(job: JobRow) -> Fence:
    return Fence(job.number, job.attempt)


def stored(database: Database, job: JobRow) -> list[int]:
    with database.read() as connection:
        return epochs.read(connection, job.number, limit=1000).epoch


def status(database: Database, job: JobRow) -> Status:
    with database.read() as connection:
        found = jobs.find(connection, job.id, project_id=job.project_id)
    assert found is not None
    return found.status


def expire(database: Database, job: JobRow) -> None:
    with database.write() as connection:
        connection.execute(update(jobs_table).where(jobs_table.c.number == job.number).values(lease_expires_at=now() - 1))


def bury(database: Database, *, max_crashes: int = 3) -> list[JobRow]:
    with database.write() as connection:
        return leases.crashed(connection, expired=True, max_crashes=max_crashes, back_off_seconds=0)


def point(job: JobRow, epoch: int) -> RecoveryRow:
    return RecoveryRow(id=f"rec_{epoch}", job_number=job.number, attempt=job.attempt, epoch=epoch, batch=0, bytes=1, sha256="0")


def test_the_oldest_of_the_highest_priority_is_claimed_first(database: Database) -> None:
    low, high, later = queued(database), queued(database, priority=5), queued(database, priority=5)

    order = [claim(database), claim(database), claim(database), claim(database)]

    assert [job and job.id for job in order] == [high.id, later.id, low.id, None]


def test_a_project_with_nothing_running_goes_before_one_that_has(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(projects).values(id="prj_other", name="other", created_at=now()))
    for _ in range(3):
        queued(database)
    other = queued(database, project_id="prj_other")

    order = [claim(database), claim(database)]

    assert [job and job.project_id for job in order] == [DEFAULT_PROJECT, other.project_id]


def test_the_queue_position_is_the_order_of_the_claims(database: Database) -> None:
    waiting = [queued(database, priority=priority) for priority in (0, 3, 1, 3)]
    with database.read() as connection:
        found = line.queue_positions(connection, waiting)
    positions = {found[job.number]: job.id for job in waiting}

    order = [claim(database) for _ in waiting]

    assert [positions[place] for place in (1, 2, 3, 4)] == [job and job.id for job in order]


def test_the_queue_position_takes_turns_as_the_claims_do(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(projects).values(id="prj_other", name="other", created_at=now()))
    projects_of = [DEFAULT_PROJECT] * 3 + ["prj_other"] * 3 + [DEFAULT_PROJECT] * 3
    priorities = [0, 0, 0, 0, 0, 2, 0, 2, 0]
    asked = zip(projects_of, priorities, strict=True)
    created = [queued(database, project_id=project, priority=priority) for project, priority in asked]
    claim(database)
    waiting = [job for job in created if status(database, job) is Status.QUEUED]
    with database.read() as connection:
        found = line.queue_positions(connection, waiting)
    positions = {found[job.number]: job.id for job in waiting}

    order = [claim(database) for _ in waiting]

    assert [positions[place] for place in sorted(positions)] == [job and job.id for job in order]
    assert sorted(positions) == list(range(1, len(waiting) + 1))


def test_a_job_that_rests_stands_behind_all_that_are_due(database: Database) -> None:
    resting, due = queued(database, priority=9), queued(database)
    with database.write() as connection:
        connection.execute(
            update(jobs_table).where(jobs_table.c.number == resting.number).values(claimable_at=now() + SECOND * 60)
        )

    with database.read() as connection:
        assert line.queue_positions(connection, [resting, due]) == {due.number: 1, resting.number: 2}


def test_the_queue_position_counts_whatever_the_same_process_takes(database: Database) -> None:
    for device in ("cpu", "cuda", "auto"):
        queued(database, device=device)
    mine = queued(database, device="cpu")

    with database.read() as connection:
        assert line.queue_positions(connection, [mine]) == {mine.number: 3}


def test_a_job_for_another_device_is_left_alone(database: Database) -> None:
    queued(database, device="cuda")

    assert claim(database) is None


def test_a_gpu_s_process_takes_jobs_for_any_device(database: Database) -> None:
    ids = [queued(database, device=device).id for device in ("cpu", "cuda", "auto")]

    with database.write() as connection:
        took = [claims.claim(connection, owner=OWNER, devices=devices_taken("cuda"), lease_seconds=30) for _ in ids]

    assert [job.id for [job] in took] == ids


def test_many_workers_claim_each_job_once(database: Database) -> None:
    ids = {queued(database).id for _ in range(40)}

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda worker: claim(database, f"host:{worker}"), range(60)))

    claimed_ids = [job.id for job in found if job]
    assert len(claimed_ids) == 40
    assert set(claimed_ids) == ids


def test_a_report_stores_its_epochs_and_answers_the_status(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        jobs.change_status(connection, job.number, old=Status.RUNNING, new=Status.CANCELLING)

    with database.write() as connection:
        answer = reports.record(connection, fence(job), trained(1, 3), lease_seconds=30)

    assert answer is Status.CANCELLING
    assert stored(database, job) == [1, 2, 3]


def test_a_worker_thought_dead_can_write_nothing(database: Database) -> None:
    old = claimed(database)
    expire(database, old)
    bury(database)
    claim(database, "host:2")

    with pytest.raises(LeaseLost), database.write() as connection:
        reports.record(connection, fence(old), trained(1, 3), lease_seconds=30)

    assert stored(database, old) == []


def test_an_expired_job_returns_to_the_queue_and_its_epochs_beyond_the_recovery_point_go(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        reports.record(connection, fence(job), trained(1, 5), lease_seconds=30)
        recovery.add(connection, point(job, 5))
        reports.record(connection, fence(job), trained(6, 9), lease_seconds=30)
    expire(database, job)

    [lost] = bury(database)
    again = claim(database)

    assert lost.status is Status.QUEUED
    assert again is not None
    assert (again.attempt, again.epoch, again.crashes) == (2, 5, 1)
    assert stored(database, job) == [1, 2, 3, 4, 5]


def test_a_lease_that_is_renewed_does_not_expire(database: Database) -> None:
    job = claimed(database)
    expire(database, job)
    with database.write() as connection:
        leases.renew(connection, [fence(job)], lease_seconds=30)

    assert bury(database) == []


@pytest.mark.parametrize(("asked", "becomes"), [(Status.PAUSING, Status.PAUSED), (Status.CANCELLING, Status.CANCELLED)])
def test_a_dead_worker_s_job_ends_as_its_caller_asked(database: Database, asked: Status, becomes: Status) -> None:
    job = claimed(database)
    with database.write() as connection:
        jobs.change_status(connection, job.number, old=Status.RUNNING, new=asked)
    expire(database, job)

    bury(database)

    assert status(database, job) is becomes


def test_three_crashes_in_a_row_end_a_job(database: Database) -> None:
    job = claimed(database)
    for _ in range(2):
        expire(database, job)
        bury(database)
        claim(database)
    expire(database, job)

    [ended] = bury(database)

    assert (ended.status, ended.stop_reason) == (Status.FAILED, StopReason.WORKER_LOST)
    assert "3 times" in str(ended.error_message)


@pytest.mark.parametrize(("asked", "crashes"), [(Status.CANCELLING, 3), (Status.RUNNING, 1)])
def test_a_job_that_ends_by_a_crash_leaves_no_recovery_point(database: Database, asked: Status, crashes: int) -> None:
    job = claimed(database)
    with database.write() as connection:
        recovery.add(connection, point(job, 3))
        jobs.change_status(connection, job.number, old=Status.RUNNING, new=asked)
    expire(database, job)

    bury(database, max_crashes=crashes)

    with database.read() as connection:
        assert recovery.every(connection, job.number) == []


def test_a_new_recovery_point_starts_the_count_of_crashes_again(database: Database) -> None:
    job = claimed(database)
    for crash in range(4):
        with database.write() as connection:
            recovery.add(connection, point(job, crash + 1))
        expire(database, job)
        bury(database)
        claim(database)

    assert status(database, job) is Status.RUNNING


def test_a_recovery_point_that_is_no_further_leaves_the_count_of_crashes(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        recovery.add(connection, point(job, 4))
    expire(database, job)
    bury(database)
    again = claim(database)
    assert again is not None

    with database.write() as connection:
        recovery.add(connection, replace(point(again, 4), id="rec_again"))
    expire(database, job)
    [lost] = bury(database)

    assert lost.crashes == 2


def test_a_polite_return_counts_as_no_crash(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        row = leases.give_back(connection, fence(job))

    assert (row.status, row.crashes) == (Status.QUEUED, 0)


def test_a_polite_return_does_not_start_the_count_of_crashes_again(database: Database) -> None:
    job = claimed(database)
    for _ in range(2):
        expire(database, job)
        bury(database)
        again = claim(database)
        assert again is not None
        with database.write() as connection:
            leases.give_back(connection, fence(again))
        claim(database)
    expire(database, job)

    [ended] = bury(database)

    assert (ended.status, ended.stop_reason) == (Status.FAILED, StopReason.WORKER_LOST)


def test_a_job_that_waits_for_its_storage_is_not_due_before_its_time(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        leases.give_back(connection, fence(job), wait_seconds=60)

    assert status(database, job) is Status.QUEUED
    assert claim(database) is None


def test_the_end_of_a_job_is_final(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        leases.finish(connection, fence(job), Ending(reason=StopReason.MAX_EPOCHS))

    with pytest.raises(LeaseLost), database.write() as connection:
        leases.finish(connection, fence(job), Ending(reason=StopReason.NON_FINITE_LOSS))

    assert status(database, job) is Status.SUCCEEDED


def test_only_the_newest_two_recovery_points_are_kept(database: Database) -> None:
    job = claimed(database)
    with database.write() as connection:
        old = [id for epoch in (1, 2, 3, 4) for id in recovery.add(connection, point(job, epoch))]
        kept = [row.epoch for row in recovery.every(connection, job.number)]

    assert (kept, old) == ([4, 3], ["rec_1", "rec_2"])


def test_the_event_log_tells_a_job_s_life_in_order(database: Database) -> None:
    job = claimed(database)
    expire(database, job)
    bury(database)
    again = claim(database)
    assert again is not None
    with database.write() as connection:
        leases.finish(connection, fence(again), Ending(reason=StopReason.MAX_EPOCHS))

    with database.read() as connection:
        log = events.after(connection, job.number)

    assert [event.type for event in log] == ["job.started", "job.worker_lost", "job.started", "job.succeeded"]
    assert [event.sequence for event in log] == [1, 2, 3, 4]


@pytest.mark.parametrize("asked", [Status.CANCELLING, Status.RUNNING])
def test_a_job_that_ends_without_its_worker_keeps_nothing_to_go_on_from(database: Database, asked: Status) -> None:
    job = claimed(database)
    with database.write() as connection:
        recovery.add(connection, point(job, 1))
        jobs.change_status(connection, job.number, old=Status.RUNNING, new=asked)
    expire(database, job)

    [ended] = bury(database, max_crashes=1)

    assert ended.status is (Status.CANCELLED if asked is Status.CANCELLING else Status.FAILED)
    with database.read() as connection:
        assert recovery.every(connection, job.number) == []
