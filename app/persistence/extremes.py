"""The extremes of a history's blocks, found inside the database: a million rows, fetched, take more than twice as long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from app.persistence.epochs import codes_of, within
from app.persistence.tables import epochs


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Successive blocks of a job's epochs: block b has those beyond b · width, up to (b + 1) · width."""

    number: int
    first: int
    stop: int
    width: int
    every: int = 1

    def border(self, block: int) -> int:
        """The last epoch that is not yet in that block."""
        return block * self.width


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """Of one block: the least and the greatest finite value of each curve in turns, None where there is none."""

    block: int
    values: Sequence[float | None]
    finite: bool
    """False where some value is NaN or infinite."""


@dataclass(frozen=True, kw_only=True)
class Odd:
    """The first epoch of a block in which a curve, told by its place, was NaN (code 1), infinite (2) or minus infinite (3)."""

    block: int
    curve: int
    code: int
    epoch: int


def of_blocks(connection: Connection, blocks: Blocks, curves: Sequence[str]) -> list[Extremes]:
    """The extremes of each block."""
    ends = (end(epochs.c[name]) for name in curves for end in (func.min, func.max))
    wanted: list[ColumnElement[Any]] = [*ends, func.coalesce(func.max(epochs.c.nonfinite), 0)]
    find = _one_by_one if connection.dialect.name == "sqlite" else _grouped
    found = find(connection, blocks, wanted)
    return [Extremes(block=block, values=values, finite=not nonfinite) for block, *values, nonfinite in found]


def _one_by_one(connection: Connection, blocks: Blocks, wanted: Sequence[ColumnElement[Any]]) -> Iterable[Sequence[Any]]:
    """A statement for each block: SQLite would sort the rows to group them, which takes almost as long again."""
    condition = within(blocks.number, after=bindparam("after"), until=bindparam("until"), every=blocks.every)
    compiled = select(*wanted).where(condition).compile(dialect=connection.dialect)
    sql, order = str(compiled), compiled.positiontup or ()
    cursor = connection.connection.cursor()
    for block in range(blocks.first, blocks.stop):
        values = compiled.params | {"after": blocks.border(block), "until": blocks.border(block + 1)}
        row = cursor.execute(sql, [values[name] for name in order]).fetchone()
        yield block, *row


def _grouped(connection: Connection, blocks: Blocks, wanted: Sequence[ColumnElement[Any]]) -> Iterable[Sequence[Any]]:
    block = _block(blocks)
    return connection.execute(select(block, *wanted).where(_all_of(blocks)).group_by(block)).all()


def odd_ones(connection: Connection, blocks: Blocks, curves: Sequence[str]) -> list[Odd]:
    """Where values are not finite, in the order of the epochs."""
    block, epoch = _block(blocks), func.min(epochs.c.epoch).label("first_epoch")
    query = select(block, epochs.c.nonfinite, epoch).where(_all_of(blocks), epochs.c.nonfinite != 0)
    return [
        Odd(block=place, curve=curve, code=code, epoch=epoch)
        for place, nonfinite, epoch in connection.execute(query.group_by(block, epochs.c.nonfinite).order_by(epoch))
        for curve, code in codes_of(nonfinite, curves)
    ]


def _block(blocks: Blocks) -> ColumnElement[int]:
    return ((epochs.c.epoch - 1) // blocks.width).label("block")


def _all_of(blocks: Blocks) -> ColumnElement[bool]:
    return within(blocks.number, after=blocks.border(blocks.first), until=blocks.border(blocks.stop), every=blocks.every)
