"""A sweep's `parallel` holds in every claim, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.domain.job import HELD, Status, StopReason
from app.domain.sweep import SweepSpec
from app.persistence import claims, jobs, leases, sweeps, workers
from app.persistence.database import Database
from app.persistence.leases import Ending, Fence
from app.persistence.parallel import admit
from app.persistence.rows import JobRow
from app.persistence.sweeps import NewSweep
from app.persistence.tables import jobs as jobs_table
from tests.persistence.jobs import SPEC, queued


def swept(database: Database, *, trials: int, parallel: int | None, pack: bool = False) -> list[JobRow]:
    """The trials of a new sweep."""
    body = {"spec": SPEC.model_dump(), "search": {"seed": {"range": [0, trials]}}, "method": "grid", "parallel": parallel}
    new = NewSweep(
        id=new_id("swp"),
        project_id=DEFAULT_PROJECT,
        sweep=SweepSpec.model_validate(body),
        trials=trials,
        metric="val_loss",
        mode="min",
    )
    with database.write() as connection:
        sweeps.add(connection, new)
    return [queued(database, sweep_id=new.id, pack=pack) for _ in range(trials)]


def claim_pack(database: Database, owner: str = "host:1") -> list[JobRow]:
    with database.write() as connection:
        return claims.claim(connection, owner=owner, devices=["auto", "cpu"], lease_seconds=30)


def claim(database: Database, owner: str = "host:1") -> JobRow | None:
    """The job that is due, where none fits into a pack."""
    return next(iter(claim_pack(database, owner)), None)


def finish(database: Database, job: JobRow) -> None:
    with database.write() as connection:
        leases.finish(connection, Fence(job.number, job.attempt), Ending(reason=StopReason.MAX_EPOCHS))


def test_no_more_trials_are_claimed_than_the_sweep_allows_and_others_go_on(database: Database) -> None:
    trials = swept(database, trials=4, parallel=2)
    other = queued(database)

    order = [claim(database) for _ in range(4)]

    assert [job and job.id for job in order] == [trials[0].id, trials[1].id, other.id, None]


def test_the_end_of_a_trial_makes_room_for_the_next(database: Database) -> None:
    trials = swept(database, trials=2, parallel=1)
    first = claim(database)
    assert first is not None
    assert claim(database) is None

    finish(database, first)

    again = claim(database)
    assert again is not None
    assert again.id == trials[1].id


def test_a_trial_that_is_being_cancelled_still_takes_its_place(database: Database) -> None:
    swept(database, trials=2, parallel=1)
    first = claim(database)
    assert first is not None
    with database.write() as connection:
        jobs.change_status(connection, first.number, old=Status.RUNNING, new=Status.CANCELLING)

    assert claim(database) is None


def test_one_sweep_s_limit_is_not_another_s(database: Database) -> None:
    for parallel in (1, None):
        swept(database, trials=3, parallel=parallel)

    assert len([job for job in (claim(database) for _ in range(6)) if job]) == 4


def test_many_workers_at_once_hold_no_more_trials_than_the_sweep_allows(database: Database) -> None:
    swept(database, trials=30, parallel=3)
    together = Barrier(8)

    def work(worker: int) -> list[JobRow | None]:
        together.wait()
        return [claim(database, f"host:{worker}") for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        found = [job.id for claimed in pool.map(work, range(8)) for job in claimed if job]

    with database.read() as connection:
        held = connection.execute(select(jobs_table.c.id).where(jobs_table.c.status.in_(HELD))).scalars().all()
    assert sorted(held) == sorted(found)
    assert len(held) == 3


@pytest.mark.parametrize(("parallel", "admitted"), [(2, 1), (None, 3)])
def test_of_several_candidates_a_sweep_admits_those_it_has_room_for(
    database: Database, parallel: int | None, admitted: int
) -> None:
    trials = swept(database, trials=4, parallel=parallel)
    plain = queued(database)
    claim(database)

    with database.write() as connection:
        numbers = admit(connection, [(job.number, job.sweep_id) for job in (*trials[1:], plain)])

    assert numbers == [job.number for job in (*trials[1 : 1 + admitted], plain)]


def test_a_pack_has_no_more_trials_than_the_sweep_allows_and_others_in_its_stack(database: Database) -> None:
    trials = swept(database, trials=4, parallel=2, pack=True)
    other = queued(database, pack=True)

    pack = claim_pack(database)

    assert [(job.id, job.stack_size, job.stack_position) for job in pack] == [
        (trials[0].id, 3, 0),
        (trials[1].id, 3, 1),
        (other.id, 3, 2),
    ]
    assert claim_pack(database) == []


def test_a_pack_leaves_a_share_of_its_sweep_s_room_to_idle_processes(database: Database) -> None:
    with database.write() as connection:
        for name in ("host:1", "host:2"):
            workers.register(connection, name, device="cpu", threads=1, torch="2")
    swept(database, trials=20, parallel=4, pack=True)

    first = claim_pack(database, "host:1")
    with database.write() as connection:
        workers.beat(connection, "host:1", job_id=first[0].id)

    assert len(first) == 2
    assert len(claim_pack(database, "host:2")) == 2


def test_a_pack_that_comes_back_takes_no_more_room_than_the_sweep_has(database: Database) -> None:
    trials = swept(database, trials=3, parallel=2, pack=True)
    first = claim_pack(database)
    with database.write() as connection:
        for job in first:
            leases.give_back(connection, Fence(job.number, job.attempt))
    with database.write() as connection:
        jobs.change_status(connection, first[0].number, old=Status.QUEUED, new=Status.PAUSED)

    packs = [claim_pack(database), claim_pack(database)]
    with database.write() as connection:
        jobs.change_status(connection, first[0].number, old=Status.PAUSED, new=Status.QUEUED)

    assert [[job.id for job in pack] for pack in packs] == [[trials[1].id], [trials[2].id]]
    assert [(job.stack_size, job.stack_position) for job in packs[0]] == [(2, 1)]
    assert claim_pack(database) == []


def test_nobody_is_called_for_a_trial_that_must_wait(database: Database) -> None:
    swept(database, trials=3, parallel=1)
    claim(database)
    other = queued(database)

    with database.read() as connection:
        waiting = jobs.unclaimed(connection, devices=["auto"], older_than_seconds=0, limit=1)

    assert waiting == [(other.id, "auto")]
