"""Cells of the numeric and boolean columns as one block of numbers."""

import math
from collections.abc import Sequence
from types import NoneType

import numpy as np
from numpy.typing import NDArray

from app.domain.columns import NumericColumn
from app.domain.fault_codes import FaultCode
from app.domain.schema import StorageType
from app.serving.cells import ABSENT, Cells, Numbers
from app.serving.findings import Findings
from app.serving.ranges import SeenRanges
from app.serving.sent import Values

# What app/domain/numbers.py writes where JSON has no number.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class NumberReader:
    """The numeric and boolean columns, each with its place among the features of the model."""

    def __init__(self, columns: Sequence[tuple[int, NumericColumn]]) -> None:
        self._places = [place for place, _ in columns]
        self._columns = [column for _, column in columns]
        self._names = [column.name for column in self._columns]
        self._booleans = [index for index, column in enumerate(self._columns) if _is_boolean(column)]
        self._least, self._greatest = np.array([column.reach for column in self._columns]).T
        self._refuses = np.array([column.impute is None for column in self._columns])
        self._seen = SeenRanges(self._columns)

    def read(self, cells: Cells, findings: Findings) -> Numbers:
        """[n, F] float64, NaN where a value is missing."""
        block = cells.block(self._places)
        if block is None:
            block = np.empty((cells.rows_sent, len(self._columns)))
            for index, place in enumerate(self._places):
                block[:, index] = self._column(index, cells.column(place), cells=cells, findings=findings)
        if self._booleans:
            self._check_booleans(block, cells, findings)
        if not self._seen.has_all(block):
            self._check_finite(block, cells, findings)
            self._seen.check(block, findings)
        return block

    def _column(self, index: int, values: Values, *, cells: Cells, findings: Findings) -> NDArray[np.generic]:
        """One column; 0 where a fault is noted."""
        allowed = "iufb" if _is_boolean(self._columns[index]) else "iuf"
        if isinstance(values, np.ndarray) and values.dtype.kind in allowed:
            return values
        listed: list[object] = values if isinstance(values, list) else values.tolist()
        quick = _quickly(listed, _is_boolean(self._columns[index]))
        return self._each(index, listed, cells=cells, findings=findings) if quick is None else quick

    def _each(self, index: int, values: Sequence[object], *, cells: Cells, findings: Findings) -> Numbers:
        column = np.zeros(len(values))
        for row, value in enumerate(values):
            number = 0.0 if value is ABSENT else _as_number(value, self._columns[index])
            if number is None:
                self._fault_type(row, index, cells=cells, findings=findings)
            else:
                column[row] = number
        return column

    def _fault_type(self, row: int, index: int, *, cells: Cells, findings: Findings) -> None:
        detail = "true or false is expected" if _is_boolean(self._columns[index]) else "a number is expected"
        self._fault(cells, (row, index), code="wrong_type", detail=detail, findings=findings)

    def _check_booleans(self, block: Numbers, cells: Cells, findings: Findings) -> None:
        part = block[:, self._booleans]
        for row, index in findings.to_fault((part != 0) & (part != 1) & np.isfinite(part)):
            self._fault_type(row, self._booleans[index], cells=cells, findings=findings)

    def _check_finite(self, block: Numbers, cells: Cells, findings: Findings) -> None:
        missing = np.isnan(block)
        for at in findings.to_fault(np.isinf(block)):
            self._fault(cells, at, code="not_finite", detail="an infinite number cannot be predicted from", findings=findings)
        beyond = np.isfinite(block) & ((block < self._least) | (block > self._greatest))
        for at in findings.to_fault(beyond):
            self._fault(cells, at, code="not_finite", detail="the number is too large for the network", findings=findings)
        for at in findings.to_fault(missing & self._refuses):
            self._fault(
                cells, at, code="missing_value", detail="the value is missing, which the spec refuses", findings=findings
            )
        for row, index in findings.to_warn_of(missing & ~self._refuses, "missing_value", self._names):
            name = self._names[index]
            detail = f"Row {row}, column {name!r}: the value is missing; it was imputed as in training."
            findings.warn("missing_value", detail, row=row, column=name)

    def _fault(self, cells: Cells, at: tuple[int, int], *, code: FaultCode, detail: str, findings: Findings) -> None:
        row, index = at
        place = f"Row {row}, column {self._columns[index].name!r}"
        findings.fault(cells.pointer(row, self._places[index]), code, f"{place}: {detail}.")


def _is_boolean(column: NumericColumn) -> bool:
    return column.kind == "boolean" or column.type is StorageType.BOOL


def _quickly(values: list[object], boolean: bool) -> Numbers | None:
    """All at once; None where a cell needs a closer look."""
    if not {*map(type, values)} <= ({int, float, bool, NoneType} if boolean else {int, float, NoneType}):
        return None
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return None


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
