"""The line in which jobs wait: by priority, then the project with the fewest running jobs, then that which waited longest."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, func, or_, select, type_coerce

from app.domain.fairness import Standing, Waiting, places
from app.domain.job import HELD, Status, devices_taken
from app.persistence.jobs import is_due
from app.persistence.rows import JobRow
from app.persistence.tables import jobs, projects


def in_line(query: Select[Any], *, most_running: int) -> Select[Any]:
    """Jobs in the order in which they are due now; with every claim the order of those behind changes.

    Jobs of projects that train as many as they may, `most_running` if it is not 0, are left out.

    Of projects that train as many jobs the one whose last claim is longest ago is next, so that a single slot goes round;
    a project's own jobs go by age.
    """
    running = _running_by_project()
    joined = jobs.join(projects).outerjoin(running, running.c.project_id == jobs.c.project_id)
    held = func.coalesce(running.c.count, 0)
    if most_running:
        query = query.where(held < most_running)
    project = (held, func.coalesce(projects.c.claimed_at, 0))
    return query.select_from(joined).order_by(jobs.c.priority.desc(), *project, jobs.c.number)


def _running_by_project() -> Any:
    """How many jobs of each project a worker holds."""
    held = select(jobs.c.project_id, func.count().label("count")).where(jobs.c.status.in_(HELD))
    return held.group_by(jobs.c.project_id).subquery("running")


def queue_positions(connection: Connection, rows: Sequence[JobRow], *, most_running: int = 0) -> dict[int, int]:
    """The places of queued jobs by their numbers; those that cannot be claimed yet stand behind all others.

    `most_running` is how many jobs a project may train at once, 0 without a limit.
    A job for any device is counted among those for the CPU, which every training process has.
    """
    by_devices: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        by_devices.setdefault(devices_taken(row.device), []).append(row.number)
    standings = _standings(connection) if rows else {}
    found: dict[int, int] = {}
    for devices, numbers in by_devices.items():
        due, later = _waiting(connection, devices)
        found |= places(due, standings, numbers, most_running=most_running)
        found |= {number: len(due) + place for number, place in places(later, standings, numbers).items()}
    return found


def _waiting(connection: Connection, devices: Sequence[str]) -> tuple[list[Waiting], list[Waiting]]:
    """The queued jobs for these devices: those that could be claimed now, and those that must wait."""
    query = select(jobs.c.priority, jobs.c.number, jobs.c.project_id, is_due().label("due"))
    rows = connection.execute(query.where(jobs.c.status == Status.QUEUED, jobs.c.device.in_(devices))).all()
    due: list[Waiting] = [(row.priority, row.number, row.project_id) for row in rows if row.due]
    return due, [(row.priority, row.number, row.project_id) for row in rows if not row.due]


def _standings(connection: Connection) -> dict[str, Standing]:
    """Of every project that had a job claimed."""
    running = _running_by_project()
    claimed = func.coalesce(type_coerce(projects.c.claimed_at, BigInteger), 0)
    query = select(projects.c.id, func.coalesce(running.c.count, 0), claimed)
    query = query.outerjoin_from(projects, running, running.c.project_id == projects.c.id)
    rows = connection.execute(query.where(or_(running.c.count.is_not(None), projects.c.claimed_at.is_not(None))))
    return {project: Standing(running=count, claimed=instant) for project, count, instant in rows}


def full(connection: Connection, most_running: int) -> set[str]:
    """The projects that train as many jobs as they may."""
    held = select(jobs.c.project_id).where(jobs.c.status.in_(HELD)).group_by(jobs.c.project_id)
    return set(connection.execute(held.having(func.count() >= most_running)).scalars()) if most_running else set()
