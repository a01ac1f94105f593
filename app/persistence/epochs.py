"""The rows of the history: written in bulk, read back as columns, with NaN and the infinities kept apart on both databases."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.sql.compiler import SQLCompiler

from app.domain.history import EpochColumns, stored
from app.domain.metrics import ALL
from app.persistence.tables import epochs

METRICS = tuple(f"val_{name}" for name in ALL)
BOTH = ("train_loss", "val_loss")
LOSSES = (*BOTH, "learning_rate")
VALUES = (*LOSSES, *METRICS)
_LISTS = (*LOSSES, "seconds")
ALL_COLUMNS = (*_LISTS, *METRICS)
Bound = int | BindParameter[int]
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


def copy(connection: Connection, source: int, target: int, *, until: int, record_every: int) -> None:
    """Give a job the epochs of another one, as if it had trained them itself: epoch 1 and the multiples of `record_every`."""
    values = [column for column in epochs.c if column is not epochs.c.job_number]
    rows = select(literal(target), *values).where(within(source, after=0, until=until, every=record_every))
    connection.execute(insert(epochs).from_select(["job_number", *(column.name for column in values)], rows))


def forget_after(connection: Connection, number: int, epoch: int) -> None:
    """Remove the epochs that a crashed attempt trained beyond its recovery point: they will be trained again."""
    connection.execute(delete(epochs).where(epochs.c.job_number == number, epochs.c.epoch > epoch))


def within(number: int, *, after: Bound, until: Bound | None = None, every: int = 1) -> ColumnElement[bool]:
    """A job's epochs beyond `after` up to `until`; with `every`, epoch 1 and its multiples only."""
    conditions = [epochs.c.job_number == number, epochs.c.epoch > after]
    if until is not None:
        conditions.append(epochs.c.epoch <= until)
    if every > 1:
        conditions.append(or_(epochs.c.epoch % every == 0, epochs.c.epoch == 1))
    return and_(*conditions)


_LAST = select(func.max(epochs.c.epoch)).where(epochs.c.job_number == bindparam("job"))


def count(connection: Connection, number: int, *, record_every: int = 1) -> int:
    """How many epochs are stored, known from the last without a scan."""
    last: int = connection.execute(_LAST, {"job": number}).scalar_one() or 0
    return stored(last, record_every=record_every)


def ends(
    connection: Connection, number: int, *, after: int = 0, before: int | None = None, every: int = 1
) -> tuple[int, int] | None:
    """The first and the last stored epoch between `after` and `before`, found without a scan."""
    condition = within(number, after=after, until=_until(before), every=every)
    both = (select(end(epochs.c.epoch)).where(condition).scalar_subquery() for end in (func.min, func.max))
    first, last = connection.execute(select(*both)).one()
    return None if first is None else (first, last)


def read(
    connection: Connection,
    number: int,
    *,
    after: int = 0,
    before: int | None = None,
    limit: int,
    every: int = 1,
    names: Sequence[str] = ALL_COLUMNS,
) -> EpochColumns:
    """Up to `limit` epochs between `after` and `before` in ascending order; with `every`, epoch 1 and its multiples only.

    Columns that are not among `names` stay empty.
    """
    condition = within(number, after=after, until=_until(before), every=every)
    return _columns(_fetch(connection, _query(condition, names).limit(limit)), names)


def at(connection: Connection, number: int, chosen: Sequence[int], *, names: Sequence[str] = ALL_COLUMNS) -> EpochColumns:
    """Those of some epochs that are stored, in ascending order; columns as in `read`."""
    condition = and_(epochs.c.job_number == number, epochs.c.epoch.in_(chosen))
    return _columns(_fetch(connection, _query(condition, names)), names)


@dataclass(frozen=True)
class Values:
    """Columns as they are stored: what is NaN or infinite is None, and stands in `nonfinite`."""

    epoch: Sequence[int]
    nonfinite: Sequence[int]
    curves: Sequence[Sequence[float | None]]


def values(
    connection: Connection, number: int, curves: Sequence[str], *, spans: Iterable[tuple[int, int]], every: int = 1
) -> Iterator[Values]:
    """The values of some columns, span by span, each beyond its first epoch up to its second."""
    query = _query(within(number, after=bindparam("after"), until=bindparam("until"), every=every), curves)
    for after, until in spans:
        epoch, nonfinite, *found = _fetch(connection, query, after=after, until=until)
        yield Values(epoch, nonfinite, found)


def codes_of(nonfinite: int, names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The places of those columns that are not finite, with 1 for NaN, 2 for infinity, 3 for minus infinity."""
    for place, name in enumerate(names):
        if code := nonfinite >> 2 * VALUES.index(name) & 3:
            yield place, code


def _until(before: int | None) -> int | None:
    return None if before is None else before - 1


def _query(condition: ColumnElement[bool], names: Sequence[str]) -> Select[Any]:
    query = select(epochs.c.epoch, epochs.c.nonfinite, *(epochs.c[name] for name in names))
    return query.where(condition).order_by(epochs.c.epoch)


def _fetch(connection: Connection, query: Select[Any], **parameters: int) -> list[list[Any]]:
    """Each column as a list: epoch, nonfinite and those that were named."""
    cursor = connection.execute(query, parameters).cursor
    assert cursor is not None
    # Straight from the driver: integers and floats need no conversion, and rows of SQLAlchemy take as long as the query.
    rows = cursor.fetchall()
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in query.selected_columns]


def _columns(table: list[list[Any]], names: Sequence[str]) -> EpochColumns:
    epoch, nonfinite, *values = table
    found = dict(zip(names, values, strict=True))
    if any(nonfinite):
        _restore(found, nonfinite)
    metrics = {name: column for name, column in found.items() if name in METRICS and _has_values(column)}
    return EpochColumns(epoch=epoch, metrics=metrics, **{name: found[name] for name in _LISTS if name in found})


def _restore(found: Mapping[str, list[Any]], nonfinite: Sequence[int]) -> None:
    names = [name for name in found if name in VALUES]
    for row, codes in enumerate(nonfinite):
        for place, code in codes_of(codes, names) if codes else ():
            found[names[place]][row] = _CODES[code]


def _has_values(column: list[float | None]) -> bool:
    return bool(column) and (column[0] is not None or column.count(None) < len(column))
