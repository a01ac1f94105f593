"""The cells of a categorical column as texts, by the type of the column that the levels come from."""

from collections.abc import Sequence
from typing import cast

import polars as pl

from app.domain.categories import category_text
from app.domain.schema import Level, StorageType
from app.tabular import recognition

_OF_TYPE: dict[StorageType, tuple[recognition.Reading, ...]] = {
    StorageType.BOOL: (recognition.truth_values_or_digits, recognition.numbers),
    StorageType.INT64: (recognition.whole_numbers, recognition.numbers),
    StorageType.FLOAT64: (recognition.numbers,),
}


def read_words(words: Sequence[str | None], type: StorageType) -> list[object]:
    """Words as the values that a column of `type` would have of them; what is none stays a word."""
    bare = pl.Series(words, dtype=pl.String).str.strip_chars()
    typed = cast("list[object]", list(words))
    for reading in reversed(_OF_TYPE.get(type, ())):
        typed = [before if value is None else value for before, value in zip(typed, reading(bare).to_list(), strict=True)]
    return typed


def as_text(series: pl.Series, type: StorageType) -> pl.Series:
    """Each value as `category_text` writes it for a column of `type`, as in a prediction; null is missing."""
    if _is_spelt_alike(series.dtype, type):
        return series.cast(pl.String)
    found = series.drop_nulls().unique()
    values = read_words(found.to_list(), type) if series.dtype == pl.String else found.to_list()
    texts = [category_text(cast(Level, value), type) for value in values]
    return series.replace_strict(found, texts, default=None, return_dtype=pl.String)


def _is_spelt_alike(dtype: pl.DataType, type: StorageType) -> bool:
    """True where polars writes, all at once, what `category_text` does."""
    if dtype == pl.String:
        return type is StorageType.STRING
    return dtype == pl.Boolean or (dtype.is_integer() and type is not StorageType.BOOL)
