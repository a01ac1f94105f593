"""Which jobs tell how quick a machine is, on both databases."""

from sqlalchemy import update

from app.domain.caller import DEFAULT_PROJECT
from app.domain.job import Status
from app.persistence import pace, projects
from app.persistence.database import Database
from app.persistence.tables import jobs
from tests.persistence.jobs import RESOLVED, queued

OVER: dict[str, object] = {
    "status": Status.SUCCEEDED,
    "stack_size": 1,
    "epoch": 50,
    "seconds": 10.0,
    "reproducibility": {"device": "cpu"},
}


def job(database: Database, *, project_id: str = DEFAULT_PROJECT, **changes: object) -> None:
    row = queued(database, project_id=project_id)
    with database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.number == row.number).values(**{**OVER, **changes}))


def measured(database: Database) -> list[float]:
    with database.read() as connection:
        found = pace.measured(connection, project_id=DEFAULT_PROJECT)
    assert all(spec.layers == RESOLVED.layers for spec, _ in found)
    return [seconds for _, seconds in found]


def test_the_newest_jobs_that_are_over_tell_their_seconds_an_epoch(database: Database) -> None:
    for epoch in range(1, 12):
        job(database, epoch=epoch)

    assert measured(database) == [10 / epoch for epoch in range(11, 2, -1)]


def test_a_job_that_tells_nothing_of_a_processor_alone_is_left_out(database: Database) -> None:
    job(database, stack_size=4)
    job(database, seconds=0.9)
    job(database, status=Status.RUNNING)
    job(database, reproducibility={"device": "cuda"})
    job(database, epoch=0)
    with database.write() as connection:
        other = projects.find_or_add(connection, "another")
    job(database, project_id=other)

    assert measured(database) == []
