"""The event log of a job: what happened to it, oldest first, without a gap."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, insert, select

from app.domain.ids import new_id
from app.domain.numbers import JsonNumber
from app.persistence.database import now
from app.persistence.rows import EventRow
from app.persistence.tables import events, jobs

Data = Mapping[str, JsonNumber | str | bool | list[str]]


def append(connection: Connection, number: int, type: str, **data: JsonNumber | str | bool | list[str]) -> None:
    """Add an event; call it where the job's row was changed in the same transaction, for that lock orders the sequence."""
    append_all(connection, type, [(number, data)])


_number = bindparam("number", type_=jobs.c.number.type)
_last = select(func.coalesce(func.max(events.c.sequence), 0)).where(events.c.job_number == _number).scalar_subquery()
_row = select(
    bindparam("id", type_=events.c.id.type),
    jobs.c.project_id,
    jobs.c.number,
    _last + 1,
    bindparam("type", type_=events.c.type.type),
    bindparam("data", type_=events.c.data.type),
    now(),
).where(jobs.c.number == _number)
_APPEND = insert(events).from_select(["id", "project_id", "job_number", "sequence", "type", "data", "created_at"], _row)


def append_all(connection: Connection, type: str, entries: Sequence[tuple[int, Data]]) -> None:
    """Add an event of one type to several jobs, each with its data; see append."""
    values = [{"number": number, "id": new_id("evt"), "type": type, "data": dict(data)} for number, data in entries]
    if values:
        connection.execute(_APPEND, values)


def after(connection: Connection, number: int, *, sequence: int = 0, limit: int | None = None) -> list[EventRow]:
    """The events that follow a sequence number, oldest first."""
    query = select(*EventRow.selected(events)).where(events.c.job_number == number, events.c.sequence > sequence)
    return EventRow.all(connection.execute(query.order_by(events.c.sequence).limit(limit)).all())


def sequence_of(connection: Connection, number: int, id: str) -> int | None:
    """The place of an event in its job's log."""
    query = select(events.c.sequence).where(events.c.job_number == number, events.c.id == id)
    return connection.execute(query).scalar_one_or_none()
