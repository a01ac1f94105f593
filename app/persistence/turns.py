"""Whose turn it is: projects by what workers do for them, jobs and batch predictions alike, and by their last claim."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)

from app.domain.job import HELD
from app.persistence.tables import batch_predictions, jobs, projects

WORK = (jobs, batch_predictions)

Place = tuple[Any, ...]
"""Where something stands in the line of all that waits: the least is due first."""


@dataclass(frozen=True)
class Turns:
    """Rows of a table of work, joined with what is known of their projects."""

    table: Table
    joined: FromClause
    running: ColumnElement[int]
    claimed: ColumnElement[int]

    @property
    def order(self) -> tuple[ColumnElement[int], ColumnElement[int]]:
        """Where as much runs, the project whose last claim is longest ago is next, so that a single slot goes round."""
        return self.running, self.claimed

    def place(self, priority: ColumnElement[int] | int) -> tuple[Any, ...]:
        """What a row's place is made of; tables have numbers of their own, but one clock."""
        return -literal(priority) if isinstance(priority, int) else -priority, *self.order, self.table.c.created_at


@cache
def turns(table: Table) -> Turns:
    """The table's rows with their projects; built once."""
    running = running_by_project()
    joined = table.join(projects).outerjoin(running, running.c.project_id == table.c.project_id)
    return Turns(table, joined, func.coalesce(running.c.count, 0), last_claim())


def last_claim() -> ColumnElement[int]:
    """When something of the project was claimed last, in microseconds; 0 for never."""
    return func.coalesce(type_coerce(projects.c.claimed_at, BigInteger), 0)


def running_by_project() -> Any:
    """How much of each project workers hold."""
    held = _held().subquery("held")
    return select(held.c.project_id, func.count().label("count")).group_by(held.c.project_id).subquery("running")


def _held() -> Any:
    return union_all(*(select(table.c.project_id).where(table.c.status.in_(HELD)) for table in WORK))


def count_running(connection: Connection, project_id: str) -> int:
    """How much of a project workers hold."""
    counts = [select(func.count()).where(table.c.project_id == project_id, table.c.status.in_(HELD)) for table in WORK]
    return sum(connection.execute(query).scalar_one() for query in counts)


def full(connection: Connection, most_running: int) -> set[str]:
    """The projects of which as much runs as may."""
    if not most_running:
        return set()
    running = running_by_project()
    return set(connection.execute(select(running.c.project_id).where(running.c.count >= most_running)).scalars())


def within_quota(query: Select[Any], turn: Turns, *, most_running: int) -> Select[Any]:
    """Without what belongs to such projects; 0 is no limit."""
    return query.where(turn.running < most_running) if most_running else query
