"""Cells of a categorical column as texts."""

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from app.domain.categories import category_text
from app.domain.columns import CategoricalColumn
from app.domain.schema import StorageType
from app.serving.cells import ABSENT, Cells
from app.serving.findings import Findings


class TextReader:
    """One categorical column; `place` is its number among the features."""

    def __init__(self, place: int, column: CategoricalColumn) -> None:
        self._place, self._column = place, column
        self._levels = frozenset(column.levels)
        self._no_level = _no_level(column)
        # "" is what is missing, but where it is a level: then what stands in for a missing one is said.
        self._missing = "" if "" not in self._levels else self._no_level if column.impute is None else column.impute

    def read(self, cells: Cells, findings: Findings) -> NDArray[np.object_]:
        """[n, 1] texts, "" where a value is missing."""
        sent = cells.column(self._place)
        values: list[object] = sent if isinstance(sent, list) else sent.tolist()
        if not self._all_known(values):
            values = [self._text(value, row, cells=cells, findings=findings) for row, value in enumerate(values)]
        texts = np.empty((len(values), 1), dtype=np.object_)
        texts[:, 0] = values
        return texts

    def _all_known(self, values: list[object]) -> bool:
        """The quick way, where every cell is a level."""
        return {*map(type, values)} == {str} and self._levels.issuperset(cast("list[str]", values))

    def _text(self, value: object, row: int, *, cells: Cells, findings: Findings) -> str:
        """One cell, with what is to be said about it; "" where that is a fault."""
        text = self._spell(value)
        if value is ABSENT or (text in self._levels and (text or isinstance(value, str))):
            return text or ""
        name, place = self._column.name, f"Row {row}, column {self._column.name!r}"
        if text is None:
            findings.fault(cells.pointer(row, self._place), "wrong_type", f"{place}: a category is expected.")
        elif text:
            findings.warn("unseen_category", f"{place}: this category was not seen in training.", row=row, column=name)
            return text if _is_whole(text) else self._no_level
        elif self._column.refuse_missing:
            findings.fault(cells.pointer(row, self._place), "missing_value", f"{place}: the value is missing.")
        else:
            findings.warn("missing_value", f"{place}: the value is missing; it was imputed.", row=row, column=name)
        return self._missing

    def _spell(self, value: object) -> str | None:
        """A cell as its level would be written; "" where it is missing, None where it can be no category of this column."""
        if value is None or value is ABSENT:
            return ""
        if isinstance(value, str):
            return value
        return self._spell_number(value) if isinstance(value, int | float) else None

    def _spell_number(self, value: float) -> str | None:
        if not math.isfinite(value):
            return "" if math.isnan(value) else None
        text = category_text(value, self._column.type)
        return text if text in self._levels or self._column.type is not StorageType.STRING else None


def _no_level(column: CategoricalColumn) -> str:
    text = "?"
    while text in column.levels:
        text += "?"
    return text


def _is_whole(text: str) -> bool:
    """False where half a character stands in it, which JSON can say and UTF-8 cannot."""
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False
