"""The rows of the history: written in bulk, read back as columns, with NaN and the infinities kept apart on both databases."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, delete, func, insert, or_, select
from sqlalchemy.sql.compiler import SQLCompiler

from app.domain.history import EpochColumns
from app.domain.metrics import ALL
from app.persistence.tables import epochs

METRICS = tuple(f"val_{name}" for name in ALL)
VALUES = ("train_loss", "val_loss", "learning_rate", *METRICS)
_ORDER = tuple(epochs.c.keys())
_CODES = {1: math.nan, 2: math.inf, 3: -math.inf}


def _code(value: float | None) -> int:
    """Two bits: 0 for a number or nothing, 1 NaN, 2 infinity, 3 minus infinity."""
    if value is None or math.isfinite(value):
        return 0
    return 1 if math.isnan(value) else (2 if value > 0 else 3)


def add(connection: Connection, reports: Mapping[int, EpochColumns]) -> None:
    """Store epochs by their jobs' numbers; one that is there already is an error: an attempt only writes what it trained."""
    rows = [row for number, columns in reports.items() for row in _rows(number, columns)]
    if not rows:
        return
    # Straight to the driver: SQLAlchemy's handling of so many parameters takes four times as long as storing them.
    statement = _insertion(connection.dialect)
    parameters = rows if statement.positional else [dict(zip(_ORDER, row, strict=True)) for row in rows]
    connection.exec_driver_sql(str(statement), parameters)


@cache
def _insertion(dialect: Dialect) -> SQLCompiler:
    return insert(epochs).compile(dialect=dialect)


def _rows(number: int, columns: EpochColumns) -> Iterable[tuple[Any, ...]]:
    """In the order of the table's columns."""
    count = len(columns)
    nothing: list[float | None] = [None] * count
    metrics = [columns.metrics.get(name, nothing) for name in METRICS]
    values = [columns.train_loss, columns.val_loss or nothing, columns.learning_rate, *metrics]
    codes = [0] * count
    if not all(_is_finite(column) for column in values):
        codes = [_codes(row) for row in zip(*values, strict=True)]
        values = [[None if _code(value) else value for value in column] for column in values]
    losses, rest = values[:3], values[3:]
    return zip([number] * count, columns.epoch, *losses, columns.seconds, *rest, codes, strict=True)


def _is_finite(column: Sequence[float | None]) -> bool:
    """False where there is NaN or an infinity, or where finite numbers add up to one."""
    return math.isfinite(sum(filter(None, column)))


def _codes(row: Sequence[float | None]) -> int:
    return sum(_code(value) << 2 * place for place, value in enumerate(row))


def forget_after(connection: Connection, number: int, epoch: int) -> None:
    """Remove the epochs that a crashed attempt trained beyond its recovery point: they will be trained again."""
    connection.execute(delete(epochs).where(epochs.c.job_number == number, epochs.c.epoch > epoch))


def count(connection: Connection, number: int, *, record_every: int = 1) -> int:
    """How many epochs are stored: epoch 1, the multiples of `record_every` and the last, known from the last without a scan."""
    last: int = connection.execute(select(func.max(epochs.c.epoch)).where(epochs.c.job_number == number)).scalar_one() or 0
    beside = {1, last} if last else set()
    return last // record_every + sum(epoch % record_every != 0 for epoch in beside)


def read(
    connection: Connection,
    number: int,
    *,
    after: int = 0,
    before: int | None = None,
    limit: int,
    every: int = 1,
    metrics: Iterable[str] = METRICS,
) -> EpochColumns:
    """Up to `limit` epochs between `after` and `before` in ascending order; with `every`, epoch 1 and its multiples only."""
    names = ("train_loss", "val_loss", "learning_rate", *metrics)
    query = (
        select(epochs.c.epoch, epochs.c.seconds, epochs.c.nonfinite, *(epochs.c[name] for name in names))
        .where(epochs.c.job_number == number, epochs.c.epoch > after)
        .order_by(epochs.c.epoch)
        .limit(limit)
    )
    if every > 1:
        query = query.where(or_(epochs.c.epoch % every == 0, epochs.c.epoch == 1))
    if before is not None:
        query = query.where(epochs.c.epoch < before)
    cursor = connection.execute(query).cursor
    assert cursor is not None
    # Straight from the driver: integers and floats need no conversion, and rows of SQLAlchemy take as long as the query.
    rows = cursor.fetchall()
    table = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(3 + len(names))]
    return _columns(table, names)


def _columns(table: list[list[Any]], names: tuple[str, ...]) -> EpochColumns:
    epoch, seconds, nonfinite, *values = table
    if any(nonfinite):
        for row, codes in enumerate(nonfinite):
            _restore(values, names, row=row, codes=codes)
    train_loss, val_loss, learning_rate, *metrics = values
    reported = {name: column for name, column in zip(names[3:], metrics, strict=True) if _has_values(column)}
    return EpochColumns(
        epoch=epoch, train_loss=train_loss, val_loss=val_loss, learning_rate=learning_rate, seconds=seconds, metrics=reported
    )


def _has_values(column: list[float | None]) -> bool:
    return bool(column) and (column[0] is not None or column.count(None) < len(column))


def _restore(values: list[list[Any]], names: tuple[str, ...], *, row: int, codes: int) -> None:
    for column, name in zip(values, names, strict=True):
        code = codes >> 2 * VALUES.index(name) & 3
        if code:
            column[row] = _CODES[code]
