"""Rows of a stored dataset as the inputs of `model.onnx`, and how many cells of each column were missing or never seen."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.columns import CategoricalColumn, FittedColumn, NumericColumn
from app.serving.predict import Inputs
from app.tabular.categories import as_text
from app.tabular.preprocessing import as_numbers, codes_of


class RowInputs:
    """Reads as a validation dataset is read: a missing cell is told from an empty text, which the inputs cannot."""

    def __init__(self, columns: Sequence[FittedColumn]) -> None:
        self._numeric = [column for column in columns if isinstance(column, NumericColumn)]
        self._categorical = [column for column in columns if isinstance(column, CategoricalColumn)]
        self.missing: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()

    def read(self, rows: pl.DataFrame) -> Inputs:
        """The inputs of some rows."""
        features = self._numbers(rows) if self._numeric else None
        return Inputs(len(rows), features, tuple(self._texts(column, rows) for column in self._categorical))

    def _numbers(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        block = np.column_stack([as_numbers(rows[column.name]) for column in self._numeric])
        for column, missing in zip(self._numeric, np.isnan(block).sum(axis=0).tolist(), strict=True):
            self.missing[column.name] += missing
        return block

    def _texts(self, column: CategoricalColumn, rows: pl.DataFrame) -> NDArray[np.object_]:
        text = as_text(rows[column.name], column.type)
        missing = text.null_count()
        self.missing[column.name] += missing
        self.unseen[column.name] += int((codes_of(text, column.levels) < 0).sum()) - missing
        return _spelled(text, column).to_numpy().astype(np.object_)[:, None]


def _spelled(text: pl.Series, column: CategoricalColumn) -> pl.Series:
    """What is read like it: "" is a level of its own, else what is missing; a text that is no level contributes nothing."""
    if "" in column.levels:
        return text.fill_null(_no_level(column) if column.impute is None else column.impute)
    return text.replace("", _no_level(column)).fill_null("")


def _no_level(column: CategoricalColumn) -> str:
    text = "?"
    while text in column.levels:
        text += "?"
    return text
