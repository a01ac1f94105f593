"""The line in which jobs wait: by priority, then the project with the fewest running jobs, then that which waited longest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, not_, or_, select

from app.domain.fairness import Queue, Standing, Waiting, places
from app.domain.job import Status, devices_taken
from app.persistence.jobs import is_due
from app.persistence.rows import JobRow
from app.persistence.tables import jobs, projects
from app.persistence.turns import last_claim, running_by_project, turns, within_quota


def in_line(query: Select[Any], *, most_running: int) -> Select[Any]:
    """Jobs in the order in which they are due now; with every claim the order of those behind changes.

    Those of projects of which as much runs as may, `most_running` if it is not 0, are left out. A project's own go by age.
    """
    turn = turns(jobs)
    chosen = within_quota(query, turn, most_running=most_running)
    return chosen.select_from(turn.joined).order_by(jobs.c.priority.desc(), *turn.order, jobs.c.number)


_running = running_by_project()
_STANDINGS = (
    select(projects.c.id, func.coalesce(_running.c.count, 0), last_claim())
    .outerjoin_from(projects, _running, _running.c.project_id == projects.c.id)
    .where(or_(_running.c.count.is_not(None), projects.c.claimed_at.is_not(None)))
)


def queue_positions(connection: Connection, rows: Sequence[JobRow], *, most_running: int = 0) -> dict[int, int]:
    """The places of queued jobs by their numbers; those that cannot be claimed yet stand behind all others.

    `most_running` is how many jobs a project may train at once, 0 without a limit.
    A job for any device is counted among those for the CPU, which every training process has.
    """
    by_devices: dict[tuple[str, ...], list[JobRow]] = {}
    for row in rows:
        by_devices.setdefault(devices_taken(row.device), []).append(row)
    standings = _standings(connection) if rows else {}
    found: dict[int, int] = {}
    for devices, alike in by_devices.items():
        found |= _places(connection, devices, alike, standings, most_running=most_running)
    return found


def _places(
    connection: Connection,
    devices: Sequence[str],
    rows: Sequence[JobRow],
    standings: Mapping[str, Standing],
    *,
    most_running: int,
) -> dict[int, int]:
    queued = _queues(connection, devices)
    ranks = _ranks(connection, devices, [row.number for row in rows], queued)
    known = [row for row in rows if row.number in ranks]
    waiting = {row.number: Waiting(row.priority, row.project_id, ranks[row.number].before) for row in known}
    due, later = ([half.queue for half in queued if half.due is wanted] for wanted in (True, False))
    now = {number: job for number, job in waiting.items() if ranks[number].due}
    behind = places(later, standings, {number: job for number, job in waiting.items() if number not in now})
    ahead = sum(queue.jobs for queue in due)
    return places(due, standings, now, most_running=most_running) | {number: ahead + place for number, place in behind.items()}


@dataclass(frozen=True)
class _Queued:
    """The jobs of a queue that could be claimed now, or those that must wait, and the number of the last of them."""

    queue: Queue
    last: int
    due: bool


_line = (
    select(jobs.c.priority, jobs.c.project_id, jobs.c.number, is_due().label("due"))
    .where(jobs.c.status == Status.QUEUED, jobs.c.device.in_(bindparam("devices", expanding=True)))
    .subquery("line")
)
_of = (_line.c.priority, _line.c.project_id)


def _counted(due: ColumnElement[bool]) -> list[ColumnElement[Any]]:
    number = case((due, _line.c.number))
    return [func.count(number), func.min(number), func.max(number)]


# By two columns only, in the order of the index: with a third one ten thousand rows are sorted, which takes twice as long.
_QUEUES = select(*_of, *_counted(_line.c.due), *_counted(not_(_line.c.due))).group_by(*_of)


def _queues(connection: Connection, devices: Sequence[str]) -> list[_Queued]:
    """What waits for these devices."""
    rows = connection.execute(_QUEUES, {"devices": devices}).all()
    halves = [(row, row[2:5], True) for row in rows] + [(row, row[5:8], False) for row in rows]
    return [
        _Queued(Queue(priority=row.priority, project=row.project_id, jobs=count, first=first), last, due)
        for row, (count, first, last), due in halves
        if count
    ]


@dataclass(frozen=True)
class _Rank:
    """Whether a job could be claimed now, and how many of its queue stand before it."""

    due: bool
    before: int


_before = func.row_number().over(partition_by=(*_of, _line.c.due), order_by=_line.c.number) - 1
_ranked = select(_line.c.number, _line.c.due, _before.label("before")).subquery("ranked")
_RANKS = select(_ranked).where(_ranked.c.number.in_(bindparam("numbers", expanding=True)))


def _ranks(
    connection: Connection, devices: Sequence[str], numbers: Sequence[int], queued: Sequence[_Queued]
) -> dict[int, _Rank]:
    """The ranks of those that are still queued. The last of a queue, as a new job is, need not be looked for."""
    found = {half.last: _Rank(half.due, half.queue.jobs - 1) for half in queued}
    if left := [number for number in numbers if number not in found]:
        for row in connection.execute(_RANKS, {"devices": devices, "numbers": left}):
            found[row.number] = _Rank(bool(row.due), row.before)
    return found


def _standings(connection: Connection) -> dict[str, Standing]:
    """Of every project that had something claimed."""
    rows = connection.execute(_STANDINGS)
    return {project: Standing(running=count, claimed=(0, instant)) for project, count, instant in rows}
