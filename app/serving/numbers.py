"""Cells of the numeric and boolean columns as one block of numbers."""

import math
from collections.abc import Sequence
from itertools import chain
from types import NoneType

import numpy as np
from numpy.typing import NDArray

from app.domain.columns import NumericColumn
from app.domain.fault_codes import FaultCode
from app.domain.schema import StorageType
from app.serving.findings import Findings
from app.serving.requests import ABSENT, Cells, Row, picker

_PLAIN = frozenset({int, float, bool, NoneType})
# What app/domain/numbers.py writes where JSON has no number.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Numbers = NDArray[np.float64]


class NumberReader:
    """The numeric and boolean columns, each with its place among the `features` of the model."""

    def __init__(self, columns: Sequence[tuple[int, NumericColumn]], *, features: int) -> None:
        self._places = [place for place, _ in columns]
        self._columns = [column for _, column in columns]
        self._pick = None if len(columns) == features else picker(self._places)
        self._booleans = [index for index, column in enumerate(self._columns) if _is_boolean(column)]
        self._others = [index for index, column in enumerate(self._columns) if not _is_boolean(column)]
        self._refuses = np.array([column.impute is None for column in self._columns])

    def read(self, cells: Cells, findings: Findings) -> Numbers:
        """[n, F] float64, NaN where a value is missing."""
        rows = [self._pick(row) for row in cells.rows] if self._pick else cells.rows
        block = self._read_plain(rows)
        if block is None:
            block = self._read_each(rows, cells, findings)
        if self._booleans:
            self._check_booleans(block, cells, findings)
        if not np.isfinite(block).all():
            self._check_finite(block, cells, findings)
        return block

    def _read_plain(self, rows: Sequence[Row]) -> Numbers | None:
        """All at once; None where a cell needs a closer look."""
        types = {*map(type, chain.from_iterable(rows))}
        if not types <= _PLAIN or (bool in types and self._has_stray_boolean(rows)):
            return None
        try:
            return np.array(rows, dtype=np.float64)
        except OverflowError:
            return None

    def _has_stray_boolean(self, rows: Sequence[Row]) -> bool:
        return any(isinstance(row[index], bool) for index in self._others for row in rows)

    def _read_each(self, rows: Sequence[Row], cells: Cells, findings: Findings) -> Numbers:
        """Cell by cell; 0 where a fault is noted."""
        block = np.zeros((len(rows), len(self._columns)))
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                number = 0.0 if value is ABSENT else _as_number(value, self._columns[j])
                block[i, j] = self._odd(cells, (i, j), findings) if number is None else number
        return block

    def _odd(self, cells: Cells, at: tuple[int, int], findings: Findings) -> float:
        """What stands for a cell of the wrong type, once that was noted."""
        detail = "true or false is expected" if _is_boolean(self._columns[at[1]]) else "a number is expected"
        self._fault(cells, at, code="wrong_type", detail=detail, findings=findings)
        return 0.0

    def _check_booleans(self, block: Numbers, cells: Cells, findings: Findings) -> None:
        part = block[:, self._booleans]
        odd = (part != 0) & (part != 1) & np.isfinite(part)
        for i, j in np.argwhere(odd).tolist():
            self._odd(cells, (i, self._booleans[j]), findings)

    def _check_finite(self, block: Numbers, cells: Cells, findings: Findings) -> None:
        missing = np.isnan(block)
        for i, j in np.argwhere(np.isinf(block)).tolist():
            self._fault(
                cells, (i, j), code="not_finite", detail="an infinite number cannot be predicted from", findings=findings
            )
        for i, j in np.argwhere(missing & self._refuses).tolist():
            self._fault(
                cells, (i, j), code="missing_value", detail="the value is missing, which the spec refuses", findings=findings
            )
        for i, j in np.argwhere(missing & ~self._refuses).tolist():
            name = self._columns[j].name
            detail = f"Row {i}, column {name!r}: the value is missing; it was imputed as in training."
            findings.warn("missing_value", detail, row=i, column=name)

    def _fault(self, cells: Cells, at: tuple[int, int], *, code: FaultCode, detail: str, findings: Findings) -> None:
        row, index = at
        place = f"Row {row}, column {self._columns[index].name!r}"
        findings.fault(cells.pointer(row, self._places[index]), code, f"{place}: {detail}.")


def _is_boolean(column: NumericColumn) -> bool:
    return column.kind == "boolean" or column.type is StorageType.BOOL


def _as_number(value: object, column: NumericColumn) -> float | None:
    """NaN where the value is missing, None where it is no number."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        return _NOT_FINITE.get(value)
    if not isinstance(value, int | float) or (isinstance(value, bool) and not _is_boolean(column)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
