"""The outages of the storage in a job's event log: one opens and closes once, so that a full disk does not flood the log."""

from sqlalchemy import BigInteger, Connection, select, type_coerce

from app.persistence import events
from app.persistence.database import now
from app.persistence.leases import SECOND
from app.persistence.tables import events as events_table

FAILED, RECOVERED = "job.storage_failed", "job.storage_recovered"


def begin(connection: Connection, number: int, *, epoch: int, reason: str) -> float:
    """Note that the storage refuses what a job writes or reads, unless that is known; for how many seconds it is.

    Call it where the job's row was changed in the same transaction, see events.append.
    """
    known = _open_for(connection, number)
    if known is None:
        events.append(connection, number, FAILED, epoch=epoch, reason=reason)
    return known or 0.0


def end(connection: Connection, number: int, *, epoch: int) -> None:
    """Note that the storage works again, where it had been noted that it does not."""
    if _open_for(connection, number) is not None:
        events.append(connection, number, RECOVERED, epoch=epoch)


def _open_for(connection: Connection, number: int) -> float | None:
    age = (now() - type_coerce(events_table.c.created_at, BigInteger)).label("age")
    query = select(events_table.c.type, age).where(
        events_table.c.job_number == number, events_table.c.type.in_((FAILED, RECOVERED))
    )
    last = connection.execute(query.order_by(events_table.c.sequence.desc()).limit(1)).one_or_none()
    return last.age / SECOND if last is not None and last.type == FAILED else None
