"""Claims: the job that is due, and with it the waiting jobs that train in the same stack."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from app.domain.job import Status
from app.domain.packing import most_members
from app.domain.spec import ResolvedSpec
from app.persistence import checkpoints, epochs, events, projects, recovery
from app.persistence.batch_predictions import is_due as is_waiting
from app.persistence.database import now
from app.persistence.jobs import by_number, is_due
from app.persistence.leases import SECOND
from app.persistence.line import in_line
from app.persistence.parallel import admit, claimable
from app.persistence.rows import JobRow
from app.persistence.tables import batch_predictions, jobs, workers
from app.persistence.turns import Place, turns

# Members of a pack while jobs wait that do not fit into it: whoever is due next waits for little more than one job.
FEW = 8
# Trials that a claim may pass over because their sweep has no more room, to reach those behind them.
PASSED_OVER = 64
# Crashes of a pack after which its members are tried alone, so that none fails its neighbours.
TOGETHER = 2


@dataclass(frozen=True)
class Seats:
    """The places in a stack of `size`, by job number; the stack is known by the job that led it first."""

    leader: int
    size: int
    positions: dict[int, int]


@dataclass(frozen=True, kw_only=True)
class _Claimant:
    """Who claims: a training process, what it takes, and how many jobs of one project may run; 0 is no limit."""

    owner: str
    devices: Sequence[str]
    most_running: int


def first(connection: Connection, *, devices: Sequence[str], most_running: int = 0) -> Place | None:
    """Where the job that is due stands in the line, beside whatever else waits; None where none is due."""
    query = in_line(select(*turns(jobs).place(jobs.c.priority)), most_running=most_running)
    row = connection.execute(query.where(is_due(), jobs.c.device.in_(devices)).limit(1)).one_or_none()
    return None if row is None else tuple(row)


def claim(
    connection: Connection, *, owner: str, devices: Sequence[str], lease_seconds: float, most_running: int = 0
) -> list[JobRow]:
    """Take the job that is due (the first in line, see app/persistence/line.py) and those that fit.

    The due job comes first. It waits for nobody: a pack is of jobs that wait already. Epochs beyond a job's newest recovery
    point are forgotten in the same transaction, for they will be trained again. `most_running` is a project's quota.
    """
    who = _Claimant(owner=owner, devices=devices, most_running=most_running)
    while due := _due(connection, who):
        seats = _kept(connection, due, who) if due.stack_size else _given(connection, due, who)
        # Else the last room of its sweep or project was taken meanwhile, and it is not due any more.
        if due.number in seats.positions:
            taken = [_take(connection, number, seats, owner=owner, lease_seconds=lease_seconds) for number in seats.positions]
            claimed = [job for job in taken if job]
            projects.note_claim(connection, sorted({job.project_id for job in claimed}))
            return claimed
    return []


def _due(connection: Connection, who: _Claimant) -> JobRow | None:
    """The first in line, locked. Its number comes first: ten thousand whole rows are slow to put in order."""
    query = _in_line(select(jobs.c.number), who).limit(1).with_for_update(skip_locked=True, of=jobs)
    number = connection.execute(query).scalar_one_or_none()
    return None if number is None else by_number(connection, number)


def _in_line(query: Select[Any], who: _Claimant) -> Select[Any]:
    """Claimable jobs in the order in which they are due."""
    return in_line(query, most_running=who.most_running).where(is_due(), jobs.c.device.in_(who.devices))


def _admit(connection: Connection, due: JobRow, candidates: Sequence[tuple[int, str | None]], who: _Claimant) -> list[int]:
    """Those that their sweeps, and the project of all of them, have room for."""
    admitted = admit(connection, candidates)
    return admitted[: projects.room(connection, due.project_id, who.most_running)] if who.most_running else admitted


def _given(connection: Connection, due: JobRow, who: _Claimant) -> Seats:
    """Seats in a new stack for the due job and those that fit, as many as pay."""
    if due.pack_key is None or due.pack_limit == 1:
        numbers = _admit(connection, due, [(due.number, due.sweep_id)], who)
    else:
        numbers = _fitting(connection, due, who)
    return Seats(due.number, len(numbers), {number: place for place, number in enumerate(numbers)})


def _fitting(connection: Connection, due: JobRow, who: _Claimant) -> list[int]:
    """The due job and those to take along, locked, as their sweeps have room."""
    alike = and_(jobs.c.pack_key == due.pack_key, jobs.c.stack_size.is_(None))
    waiting = _by_sweep(connection, alike)
    room = claimable(connection, waiting)
    most = _most(connection, due, waiting=room, who=who)
    others = _in_line(select(jobs.c.number, jobs.c.sweep_id), who).where(alike, jobs.c.number != due.number)
    others = others.limit(most - 1 + min(waiting.total() - room, PASSED_OVER)).with_for_update(skip_locked=True, of=jobs)
    rows = connection.execute(others).all() if most > 1 else []
    together = [(due.number, due.sweep_id), *((row.number, row.sweep_id) for row in rows)]
    return _admit(connection, due, together, who)[:most]


def _by_sweep(connection: Connection, alike: ColumnElement[bool]) -> Counter[str | None]:
    """How many such jobs are due, of each sweep and of none."""
    query = select(jobs.c.sweep_id, func.count()).where(is_due(), alike).group_by(jobs.c.sweep_id)
    return Counter({row.sweep_id: row[1] for row in connection.execute(query)})


def _most(connection: Connection, due: JobRow, *, waiting: int, who: _Claimant) -> int:
    """How many of the jobs that wait and are alike the owner may take at once."""
    gpu = "cuda" in who.devices
    on_gpu = gpu and due.device != "cpu"
    memory, host = _memory(connection, who.owner)
    memory = memory if on_gpu == gpu else host  # a job that asks for the CPU of a GPU's process is in the host's memory alone
    most = most_members(ResolvedSpec.model_validate(due.resolved_spec), gpu=on_gpu, memory=memory, host=host)
    most = min(most, due.pack_limit or most)
    idle = _idle_others(connection, who.owner)
    if not idle and _others_wait(connection, due, who.devices):
        return min(most, FEW)
    return min(most, max(1, -(-waiting // (idle + 1))))


def _memory(connection: Connection, owner: str) -> tuple[int | None, int | None]:
    """Bytes that a stack may take in a training process, and on a GPU beside it; None where it has not said so."""
    row = connection.execute(select(workers.c.memory, workers.c.host_memory).where(workers.c.id == owner)).one_or_none()
    return (None, None) if row is None else (row.memory, row.host_memory)


def _idle_others(connection: Connection, owner: str) -> int:
    """Other training processes on the same kind of device that could take a part of the pack at once."""
    device = select(workers.c.device).where(workers.c.id == owner).scalar_subquery()
    idle = and_(workers.c.silent_at.is_(None), workers.c.job_id.is_(None), workers.c.id != owner, workers.c.device == device)
    return connection.execute(select(func.count()).select_from(workers).where(idle)).scalar_one()


def _others_wait(connection: Connection, due: JobRow, devices: Sequence[str]) -> bool:
    if connection.execute(select(batch_predictions.c.number).where(is_waiting()).limit(1)).first() is not None:
        return True
    unfit = or_(jobs.c.pack_key.is_(None), jobs.c.pack_key != due.pack_key)
    query = select(jobs.c.number).where(is_due(), unfit, jobs.c.device.in_(devices)).limit(1)
    return connection.execute(query).first() is not None


def _kept(connection: Connection, due: JobRow, who: _Claimant) -> Seats:
    """The seats that jobs had when they went first: a member's bits depend on its place and on the size of its stack."""
    assert due.stack_size is not None
    assert due.stack_position is not None
    assert due.stack_leader is not None
    members = {due.number: (due.stack_position, due.sweep_id)}
    if due.stack_size > 1 and due.pack_crashes < TOGETHER:
        place = _place(connection, due.number)
        query = (
            select(jobs.c.number, jobs.c.stack_position, jobs.c.sweep_id)
            .where(is_due(), jobs.c.stack_leader == due.stack_leader, jobs.c.pack_crashes < TOGETHER)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(query.order_by(jobs.c.stack_position)).all()
        going_on = [row for row in rows if _place(connection, row.number) == place]
        members |= {row.number: (row.stack_position, row.sweep_id) for row in going_on}
    admitted = _admit(connection, due, [(number, sweep) for number, (_, sweep) in members.items()], who)
    return Seats(due.stack_leader, due.stack_size, {number: members[number][0] for number in admitted})


def _place(connection: Connection, number: int) -> tuple[int, int]:
    """The epoch and batch at which a job goes on: members of one stack share it."""
    point = recovery.newest(connection, number)
    return (point.epoch, point.batch) if point else (0, 0)


def _take(connection: Connection, number: int, seats: Seats, *, owner: str, lease_seconds: float) -> JobRow | None:
    epoch, _ = _place(connection, number)
    statement = (
        update(jobs)
        .where(jobs.c.number == number, jobs.c.status == Status.QUEUED)
        .values(
            status=Status.RUNNING,
            attempt=jobs.c.attempt + 1,
            lease_owner=owner,
            lease_expires_at=now() + int(lease_seconds * SECOND),
            started_at=func.coalesce(jobs.c.started_at, now()),
            stack_leader=seats.leader,
            stack_size=seats.size,
            stack_position=seats.positions[number],
            epoch=epoch,
            revision=jobs.c.revision + 1,
        )
        .returning(*JobRow.selected(jobs))
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    epochs.forget_after(connection, number, epoch)
    checkpoints.forget_after(connection, number, epoch)
    events.append(connection, number, "job.started", attempt=row.attempt, epoch=epoch, stack_size=seats.size)
    return JobRow.of(row)
