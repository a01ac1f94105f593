"""The rows of a table that somebody wants predicted, as the columns of a fitted model: numbers, truth values and texts."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.columns import CategoricalColumn, FittedColumn, NumericColumn
from app.domain.schema import StorageType
from app.tabular import recognition
from app.tabular.categories import read_words
from app.tabular.table import Table

Values = list[object] | NDArray[np.generic]

_MARKERS = frozenset(recognition.MARKERS)


def given_values(table: Table, columns: Sequence[FittedColumn]) -> dict[str, Values]:
    """The cells of the model's columns that are there; a text that is not what its column has stays a text."""
    there = [column for column in columns if column.name in table.columns]
    if table.strings != "cells":
        return {column.name: _stored(table.columns[column.name]) for column in there}
    numeric = [column for column in there if isinstance(column, NumericColumn) and not _is_boolean(column)]
    others = [column for column in there if column not in numeric]
    return _numbers(table, numeric) | {column.name: _words(table.columns[column.name], column) for column in others}


def _is_boolean(column: NumericColumn) -> bool:
    return column.kind == "boolean" or column.type is StorageType.BOOL


def _stored(series: pl.Series) -> Values:
    """Of a file with types of its own."""
    if series.dtype.is_float():
        return series.fill_null(float("nan")).to_numpy()
    return series.to_numpy() if series.dtype.is_integer() and not series.null_count() else series.to_list()


def _numbers(table: Table, columns: Sequence[NumericColumn]) -> dict[str, Values]:
    """All at once: a call of polars costs more than the column of a small table."""
    if not columns:
        return {}
    cells = pl.concat([table.columns[column.name].alias("") for column in columns])
    bare = recognition.without_markers(cells, recognition.MARKERS).str.strip_chars()
    read = recognition.numbers(bare)
    wrong = (read.is_null() & bare.is_not_null()).to_numpy().reshape(len(columns), -1)
    block = read.fill_null(float("nan")).to_numpy().reshape(len(columns), -1)
    values: dict[str, Values] = dict(zip([column.name for column in columns], block, strict=True))
    for place in np.flatnonzero(wrong.any(axis=1)).tolist():
        name = columns[place].name
        values[name] = _with_texts(block[place], wrong[place], table.columns[name])
    return values


def _with_texts(numbers: NDArray[np.generic], wrong: NDArray[np.bool_], cells: pl.Series) -> list[object]:
    pairs = zip(numbers.tolist(), wrong.tolist(), cells.to_list(), strict=True)
    return [text if is_wrong else number for number, is_wrong, text in pairs]


def _words(cells: pl.Series, column: FittedColumn) -> list[object]:
    """A column of truth values or categories; a marker that is a level is one."""
    levels = column.levels if isinstance(column, CategoricalColumn) else ()
    texts = [None if _is_missing(text, levels) else text for text in cells.to_list()]
    return read_words(texts, column.type if isinstance(column, CategoricalColumn) else StorageType.BOOL)


def _is_missing(text: str, levels: Sequence[str]) -> bool:
    return text.strip() in _MARKERS and text not in levels
