"""How many trials of a sweep are trained at once: a sweep's `parallel` holds in every claim."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, func, or_, select

from app.domain.job import HELD
from app.persistence.tables import jobs, sweeps


def within_parallel() -> ColumnElement[bool]:
    """True for a job of no sweep, and for one whose sweep may have another trial in training."""
    held = select(sweeps.c.id).join(jobs, jobs.c.sweep_id == sweeps.c.id).where(jobs.c.status.in_(HELD))
    full = held.group_by(sweeps.c.id, sweeps.c.parallel).having(func.count() >= sweeps.c.parallel)
    return or_(jobs.c.sweep_id.is_(None), jobs.c.sweep_id.not_in(full))


def admit(connection: Connection, candidates: Sequence[tuple[int, str | None]]) -> list[int]:
    """Of jobs (number and sweep) that are about to be claimed those that their sweeps have room for, in the same order.

    Two claims at once each see the state before the other, so the room is counted again with the sweeps locked, always
    in the order of their ids. Whoever waits here holds jobs: nobody may lock a sweep first and then wait for jobs.
    """
    room = _room(connection, sorted({sweep for _, sweep in candidates if sweep is not None}), locked=True)
    taken: Counter[str] = Counter()
    admitted: list[int] = []
    for number, sweep in candidates:
        if sweep in room and taken[sweep] >= room[sweep]:
            continue
        taken[sweep or ""] += 1
        admitted.append(number)
    return admitted


def claimable(connection: Connection, waiting: Mapping[str | None, int]) -> int:
    """How many of so many waiting jobs, by sweep, can be claimed now, each sweep's up to its room; locks nothing."""
    room = _room(connection, [sweep for sweep in waiting if sweep is not None], locked=False)
    return sum(max(0, min(count, room.get(sweep or "", count))) for sweep, count in waiting.items())


def _room(connection: Connection, ids: Sequence[str], *, locked: bool) -> dict[str, int]:
    """How many trials each of these sweeps may begin; those without a limit are left out."""
    if not ids:
        return {}
    limits = select(sweeps.c.id, sweeps.c.parallel).where(sweeps.c.id.in_(ids), sweeps.c.parallel.is_not(None))
    if locked:
        limits = limits.order_by(sweeps.c.id).with_for_update(key_share=True)
    limited = connection.execute(limits).all()
    query = select(jobs.c.sweep_id, func.count()).where(jobs.c.sweep_id.in_(ids), jobs.c.status.in_(HELD))
    held = {row.sweep_id: row[1] for row in connection.execute(query.group_by(jobs.c.sweep_id))}
    return {row.id: row.parallel - held.get(row.id, 0) for row in limited}
