"""What is to be predicted as it is sent: a file's bytes, or JSON in which NaN is a missing value."""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from trainyard.answers import Columns, Rows
from trainyard.suffixes import PREDICTED, Unfit, of_suffix

# What pandas has in place of a value; by their names, for it need not be installed.
_MISSING = frozenset({"NAType", "NaTType"})


@runtime_checkable
class Array(Protocol):
    """Such as numpy's: what it holds as lists of plain values."""

    def tolist(self) -> object:
        """Rows, or the values of one."""


@runtime_checkable
class Frame(Protocol):
    """Such as that of pandas or polars: columns by name."""

    @property
    def columns(self) -> Iterable[str]:
        """Their names."""

    def __getitem__(self, name: str, /) -> object:
        """The values of one."""


Given = Rows | Columns | Array | Sequence[Array] | Frame | Path | str
"""What is to be predicted: rows, columns by name, or a file by its suffix: `.csv`, `.arrow` and `.arrows`, `.json`."""


def sent(given: Given) -> tuple[object, BinaryIO | None, str | None]:
    """As JSON, or as bytes of a type."""
    if isinstance(given, Path | str):
        file = Path(given)
        type = of_suffix(file, PREDICTED)
        return None, io.BytesIO(file.read_bytes()), type
    if isinstance(given, Mapping):
        return {"columns": {name: _column(values, name) for name, values in given.items()}}, None, None
    if isinstance(given, Frame):
        return {"columns": {name: _column(given[name], name) for name in given.columns}}, None, None
    return {"rows": [_row(row, number) for number, row in enumerate(_values(given))]}, None, None


def _values(given: object) -> Sequence[object]:
    values = given.tolist() if isinstance(given, Array) else given
    return list(values) if isinstance(values, Iterable) else [values]


def _column(values: object, name: str) -> list[object]:
    return [_cell(value, row, name) for row, value in enumerate(_values(values))]


def _row(row: object, number: int) -> object:
    """What is no row stays as it is: the service tells its place."""
    if isinstance(row, Mapping):
        return {name: _cell(value, number, name) for name, value in row.items()}
    if isinstance(row, Sequence | Array) and not isinstance(row, str):
        return [_cell(value, number, column) for column, value in enumerate(_values(row))]
    return row


def _cell(value: object, row: int, column: object) -> object:
    if hasattr(value, "tolist"):  # a number of numpy's
        value = value.tolist()
    if type(value).__name__ in _MISSING:
        return None
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return None
    raise Unfit(f"Row {row}, column {column!r}: the number is infinite.")
