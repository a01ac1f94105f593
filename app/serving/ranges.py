"""The ranges that the training rows had, and the numbers that lie far outside of them."""

from collections.abc import Sequence

import numpy as np

from app.domain.columns import NumericColumn
from app.serving.cells import Numbers
from app.serving.findings import Findings

# With so many rows the ends of each column are found sooner than every cell is compared.
_FEW = 16


class SeenRanges:
    """Of these columns. Far outside is beyond a column's range by more than its width; booleans have no outside."""

    def __init__(self, columns: Sequence[NumericColumn]) -> None:
        self._names = [column.name for column in columns]
        bounds = np.array([_bounds(column) for column in columns])
        self._lowest, self._highest = bounds.T

    def has_all(self, block: Numbers) -> bool:
        """True where nothing is far outside, missing, infinite or too large."""
        least, greatest = (block, block) if len(block) < _FEW else (np.minimum.reduce(block), np.maximum.reduce(block))
        inside = (least >= self._lowest) & (greatest <= self._highest)
        return bool(np.logical_and.reduce(inside, axis=None))  # `all` is this, after two calls more

    def check(self, block: Numbers, findings: Findings) -> None:
        """Warn of what is far outside."""
        outside = ((block < self._lowest) | (block > self._highest)) & np.isfinite(block)
        for row, index in findings.to_warn_of(outside, "outside_training_range", self._names):
            name = self._names[index]
            detail = f"Row {row}, column {name!r}: the value is far outside what was seen in training."
            findings.warn("outside_training_range", detail, row=row, column=name)


def _bounds(column: NumericColumn) -> tuple[float, float]:
    """The numbers that are not far outside; all that the network can be given where nothing was seen."""
    low, high = column.reach
    if column.minimum is None or column.maximum is None or column.kind == "boolean":
        return low, high
    width = column.maximum - column.minimum
    return max(low, column.minimum - width), min(high, column.maximum + width)
