"""Reading JSON Lines: one object a line; JSON's own types are kept."""

import json
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np
import orjson
import polars as pl

from app.tabular.inflating import decoded_lines, open_text
from app.tabular.limits import Limits
from app.tabular.refusal import Refused
from app.tabular.table import Table, check_cells, check_names

Cell = bool | int | float | str | None
# The strings by which this API writes numbers that JSON cannot: numbers again where they stand among numbers.
NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
INT64 = range(-(2**63), 2**63)


def read_json_lines(path: Path, *, limits: Limits) -> Table:
    """A table typed as JSON has it: boolean, int64, float64 (also where whole numbers and others mix), String.

    A key that is absent is a missing value; columns stand in the order in which their names first occur.

    Raises Refused: for a line that is no object, a nested value, a column of mixed types, or a passed limit.
    """
    cells: dict[str, list[Cell]] = {}
    lines = array("q")
    with open_text(path, limits) as reader:
        for number, line in _not_blank(decoded_lines(reader)):
            _append(_object(line, number), cells, len(lines))
            lines.append(number)
            check_cells(len(lines), len(cells), limits)
    check_names(list(cells), limits)
    if not lines:
        raise Refused.data("there are no rows.")
    table = Table(len(lines), {}, lines=np.frombuffer(lines, dtype=np.int64), strings="dates")
    for name in list(cells):
        table.columns[name] = _series(table, name, cells.pop(name), limits)
    return table


def _not_blank(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _object(line: str, number: int) -> dict[str, Cell]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise Refused.data("this is not JSON.", line=number) from None
    if not isinstance(value, dict):
        raise Refused.data("this is not a JSON object.", line=number)
    if line.count(":") > len(value):  # not so in most lines, and quickly counted
        _check_keys(line, number)
    return cast(dict[str, Cell], value)


def _check_keys(line: str, number: int) -> None:
    """Refuses an object with a key that stands twice, of which a parser keeps the last value only."""

    def check(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Refused.data("this key stands more than once.", line=number, column=name)
            seen.add(name)

    with suppress(RecursionError):  # nested that deeply it is refused as a cell
        json.loads(line, object_pairs_hook=check, parse_int=str)


def _append(record: dict[str, Cell], cells: dict[str, list[Cell]], row: int) -> None:
    """Adds one row; a column seen for the first time was missing until now."""
    for name, value in record.items():
        column = cells.setdefault(name, [])
        column.extend([None] * (row - len(column)))
        column.append(value)


def _series(table: Table, name: str, cells: list[Cell], limits: Limits) -> pl.Series:
    cells.extend([None] * (table.rows - len(cells)))
    found = {type(cell) for cell in cells} - {type(None)}
    if found >= {str} and found & {int, float}:
        cells = [NOT_FINITE.get(cell, cell) if isinstance(cell, str) else cell for cell in cells]
        found = {type(cell) for cell in cells} - {type(None)}
    if found == {int} and not all(cell is None or cell in INT64 for cell in cells):
        found = {float}
    dtype = _DTYPES.get(frozenset(found))
    if dtype is None:
        raise _mixed(table, name, cells)
    if dtype == pl.Float64:
        cells = [None if cell is None else float(cell) for cell in cells]
    return pl.Series(name, cells, dtype=dtype)


_DTYPES: dict[frozenset[type], type[pl.DataType]] = {
    frozenset(): pl.Float64,
    frozenset({bool}): pl.Boolean,
    frozenset({int}): pl.Int64,
    frozenset({float}): pl.Float64,
    frozenset({int, float}): pl.Float64,
    frozenset({str}): pl.String,
}
_WORDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}


def _mixed(table: Table, name: str, cells: list[Cell]) -> Refused:
    """The first cell that is nested or does not go with the first one."""
    first = next(cell for cell in cells if cell is not None)
    for row, cell in enumerate(cells):
        word = "" if cell is None else _WORDS[type(cell)]
        if word in ("an array", "an object"):
            return table.refuse(row, name, f"{word} cannot be a cell.")
        if word and word != _WORDS[type(first)]:
            return table.refuse(row, name, f"{word} stands where the cells above are {_WORDS[type(first)][2:].strip()}s.")
    raise AssertionError(name)
