"""Counters that only grow, whoever counts and whatever is deleted: rows that are added up once there are many of them.

An increment is a row of its own, in the transaction of what it counts. So nothing is counted that did not happen, and no two
writers ever wait for each other, as they would over one row for each counter.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select

from app.persistence.tables import counts

MANY = 200
AT_A_TIME = 5_000

_COUNT = insert(counts)

Totals = Mapping[tuple[str, str], int]


class Counted(StrEnum):
    """What is counted; the label says of which kind."""

    EPOCHS = "epochs"
    JOBS_FINISHED = "jobs_finished"
    """By stop reason."""
    ATTEMPTS_LOST = "attempts_lost"
    """By what is known of the crash."""
    LEASES_LOST = "leases_lost"
    BATCH_ROWS = "batch_rows"
    """Rows of batch predictions that are durable."""


def add(connection: Connection, what: Counted, label: str = "", *, times: int = 1) -> None:
    """Count something that this transaction does."""
    if times:
        connection.execute(_COUNT, {"name": what, "label": label, "value": times})


def totals(connection: Connection) -> Totals:
    """Every counter so far, by name and label."""
    query = select(counts.c.name, counts.c.label, func.sum(counts.c.value)).group_by(counts.c.name, counts.c.label)
    return {(name, label): int(total) for name, label, total in connection.execute(query)}


def add_up(connection: Connection, *, beyond: int = MANY) -> None:
    """Put one row for each counter in the place of many; any number of processes may do so at once."""
    if connection.execute(select(func.count()).select_from(counts)).scalar_one() <= beyond:
        return
    oldest = select(counts.c.number).order_by(counts.c.number).limit(AT_A_TIME).with_for_update(skip_locked=True)
    removed = delete(counts).where(counts.c.number.in_(oldest)).returning(counts.c.name, counts.c.label, counts.c.value)
    sums: Counter[tuple[str, str]] = Counter()
    for name, label, value in connection.execute(removed):
        sums[name, label] += value
    if sums:
        rows = [{"name": name, "label": label, "value": value} for (name, label), value in sums.items()]
        connection.execute(_COUNT, rows)
