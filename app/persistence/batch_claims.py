"""The claim of the batch prediction that is due."""

from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from app.domain.job import Status
from app.persistence import projects
from app.persistence.batch_predictions import is_due
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import now
from app.persistence.leases import SECOND
from app.persistence.tables import batch_predictions as batches
from app.persistence.turns import Place, Turns, turns, within_quota

PRIORITY = 0


def first(connection: Connection, *, most_running: int = 0) -> Place | None:
    """Where the first of them stands in the line, beside jobs; None where none is due."""
    turn = turns(batches)
    row = connection.execute(_in_line(turn, *turn.place(PRIORITY), most_running=most_running).limit(1)).one_or_none()
    return None if row is None else tuple(row)


def _in_line(turn: Turns, *columns: Any, most_running: int) -> Select[Any]:
    query = within_quota(select(*columns), turn, most_running=most_running).select_from(turn.joined)
    return query.where(is_due()).order_by(*turn.order, batches.c.number)


def claim(connection: Connection, *, owner: str, lease_seconds: float, most_running: int = 0) -> BatchPredictionRow | None:
    """Take the first, unless another claim is quicker."""
    query = _in_line(turns(batches), batches.c.number, batches.c.project_id, most_running=most_running)
    due = connection.execute(query.limit(1).with_for_update(skip_locked=True, of=batches)).one_or_none()
    if due is None or (most_running and not projects.room(connection, due.project_id, most_running)):
        return None
    row = _take(connection, due.number, owner=owner, lease_seconds=lease_seconds)
    projects.note_claim(connection, [due.project_id])
    return row


def _take(connection: Connection, number: int, *, owner: str, lease_seconds: float) -> BatchPredictionRow:
    statement = (
        update(batches)
        .where(batches.c.number == number)
        .values(
            status=Status.RUNNING,
            attempt=batches.c.attempt + 1,
            lease_owner=owner,
            lease_expires_at=now() + int(lease_seconds * SECOND),
            started_at=func.coalesce(batches.c.started_at, now()),
            revision=batches.c.revision + 1,
        )
    )
    return BatchPredictionRow.of(connection.execute(statement.returning(*BatchPredictionRow.selected(batches))).one())
