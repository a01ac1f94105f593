"""A project with many jobs starves none with few, and everybody's place in the line is true; on both databases."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.domain.caller import DEFAULT_PROJECT
from app.domain.fairness import Queue, Standing, Waiting, places
from app.domain.job import StopReason
from app.persistence import claims, leases, line, projects, turns
from app.persistence.database import Database
from app.persistence.leases import Ending, Fence
from app.persistence.rows import JobRow
from app.persistence.tables import events
from app.persistence.tables import jobs as jobs_table
from tests.persistence.jobs import queued


def claim(database: Database, *, most: int = 0) -> list[JobRow]:
    with database.write() as connection:
        return claims.claim(connection, owner="host:1", devices=["auto", "cpu"], lease_seconds=30, most_running=most)


def finish(database: Database, pack: Sequence[JobRow]) -> None:
    with database.write() as connection:
        for job in pack:
            leases.finish(connection, Fence(job.number, job.attempt), Ending(reason=StopReason.MAX_EPOCHS))


def project(database: Database, name: str) -> str:
    with database.write() as connection:
        return projects.find_or_add(connection, name)


def positions(database: Database, waiting: Sequence[JobRow], *, most: int = 0) -> list[int]:
    with database.read() as connection:
        found = line.queue_positions(connection, waiting, most_running=most)
    return [found[job.number] for job in waiting]


@pytest.mark.parametrize("slots", [1, 3])
def test_a_single_job_waits_for_one_of_another_project_s_thousand_and_not_for_all(database: Database, slots: int) -> None:
    crowd = [queued(database) for _ in range(30)]
    finish(database, claim(database))
    for _ in range(slots - 1):
        claim(database)
    single = queued(database, project_id=project(database, "single"))

    assert positions(database, [single]) == [1]
    assert [job.id for job in claim(database)] == [single.id]
    assert [job.project_id for job in claim(database)] == [crowd[0].project_id]


def test_with_one_slot_projects_take_turns_however_many_jobs_each_has(database: Database) -> None:
    names = [DEFAULT_PROJECT, project(database, "b"), project(database, "c")]
    for name, count in zip(names, (9, 2, 3), strict=True):
        for _ in range(count):
            queued(database, project_id=name)

    order = []
    while pack := claim(database):
        order += [job.project_id for job in pack]
        finish(database, pack)

    assert [names.index(id) for id in order] == [0, 1, 2, 0, 1, 2, 0, 2, *[0] * 6]


def test_a_priority_goes_before_a_fair_share(database: Database) -> None:
    other = project(database, "b")
    for _ in range(3):
        queued(database, priority=1)
    low = queued(database, project_id=other)

    assert [claim(database)[0].project_id for _ in range(3)] == [DEFAULT_PROJECT] * 3
    assert claim(database)[0].id == low.id


def test_a_pack_of_the_crowd_is_small_while_another_project_waits(database: Database) -> None:
    for _ in range(100):
        queued(database, pack=True)
    single = queued(database, project_id=project(database, "single"))

    assert len(claim(database)) == claims.FEW
    assert claim(database)[0].id == single.id


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_the_line_is_the_order_of_the_claims_whatever_waits_and_runs(database: Database, data: st.DataObject) -> None:
    with database.write() as connection:
        for table in (events, jobs_table):
            connection.execute(delete(table))
    names = [DEFAULT_PROJECT, *(project(database, name) for name in "bcd")]
    drawn = st.lists(st.tuples(st.sampled_from(names), st.integers(0, 2)), max_size=8)
    for name, priority in data.draw(drawn):
        queued(database, project_id=name, priority=priority)
    for _ in range(data.draw(st.integers(0, 4))):
        pack = claim(database)
        if data.draw(st.booleans()):
            finish(database, pack)
    for name, priority in data.draw(drawn):
        queued(database, project_id=name, priority=priority)

    most = data.draw(st.integers(0, 3))
    waiting = _waiting(database)
    told = positions(database, waiting, most=most)
    claimed = [pack[0].number for _ in waiting if (pack := claim(database, most=most))]

    in_line = [number for _, number in sorted(zip(told, [job.number for job in waiting], strict=True))]
    assert in_line[: len(claimed)] == claimed
    assert most or len(claimed) == len(waiting)
    assert sorted(told) == list(range(1, len(told) + 1))


def _waiting(database: Database) -> list[JobRow]:
    with database.read() as connection:
        query = select(*JobRow.selected(jobs_table)).where(jobs_table.c.status == "queued")
        return JobRow.all(connection.execute(query).all())


def test_only_the_places_that_are_asked_for_are_told() -> None:
    queues = [
        Queue(priority=0, project="a", jobs=2, first=1),
        Queue(priority=0, project="b", jobs=1, first=3),
        Queue(priority=5, project="a", jobs=1, first=4),
    ]
    asked = {3: Waiting(0, "b", 0), 2: Waiting(0, "a", 1), 9: Waiting(0, "c", 0)}

    assert places(queues, {"a": Standing(running=1)}, asked) == {3: 2, 2: 4}


def claim_within(database: Database, most: int, owner: str = "host:1") -> list[JobRow]:
    with database.write() as connection:
        return claims.claim(connection, owner=owner, devices=["auto", "cpu"], lease_seconds=30, most_running=most)


def test_a_project_trains_no_more_jobs_than_it_may_and_others_go_on(database: Database) -> None:
    crowd = [queued(database, priority=9) for _ in range(4)]
    other = queued(database, project_id=project(database, "b"))

    order = [claim_within(database, 2) for _ in range(4)]
    with database.read() as connection:
        full = turns.full(connection, 2)
    finish(database, order[0])

    assert [[job.id for job in pack] for pack in order] == [[crowd[0].id], [crowd[1].id], [other.id], []]
    assert full == {DEFAULT_PROJECT}
    assert [job.id for job in claim_within(database, 2)] == [crowd[2].id]


def test_a_pack_takes_no_more_than_its_project_may_train_and_comes_back_within_it(database: Database) -> None:
    for _ in range(10):
        queued(database, pack=True)

    pack = claim_within(database, 6)
    with database.write() as connection:
        for job in pack:
            leases.give_back(connection, Fence(job.number, job.attempt))
    again = [claim_within(database, 4), claim_within(database, 6), claim_within(database, 6)]

    assert [job.stack_size for job in pack] == [6] * 6
    assert [len(found) for found in again] == [4, 2, 0]
    assert [job.stack_position for found in again for job in found] == list(range(6))


def test_many_workers_at_once_train_no_more_of_a_project_than_it_may(database: Database) -> None:
    for _ in range(30):
        queued(database)
    together = Barrier(8)

    def work(worker: int) -> int:
        together.wait()
        return sum(len(claim_within(database, 3, f"host:{worker}")) for _ in range(3))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 3
