"""The flat types of columnar files, each as one of the five that are stored."""

from collections.abc import Iterable

import polars as pl

from app.tabular.limits import Limits
from app.tabular.refusal import Refused


def is_plain(dtype: pl.DataType) -> bool:
    """True for a type that a column of a dataset may have had."""
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Null)


def not_supported(column: str, type: str) -> Refused:
    """The refusal of a column of another type."""
    return Refused.data(f"the type {type} is not supported.", column=column)


def stored_columns(found: Iterable[pl.Series], limits: Limits) -> dict[str, pl.Series]:
    """Each series by its name in one of the five storage types; NaN stays for the caller.

    Raises Refused: all text together passes the limit.
    """
    columns: dict[str, pl.Series] = {}
    text = 0
    for series in found:
        column = _converted(series)
        columns[series.name] = column
        if column.dtype == pl.String:
            text += int(column.str.len_bytes().sum())
        if text > limits.inflated_bytes:
            raise Refused.size(f"the text of the file is more than {limits.inflated_bytes} bytes.")
    return columns


def _converted(series: pl.Series) -> pl.Series:
    dtype = series.dtype
    if dtype.is_float() or dtype in (pl.Decimal, pl.Null):
        return series.cast(pl.Float64)
    if dtype.is_integer():
        return _integers(series)
    if dtype == pl.Datetime and getattr(dtype, "time_zone", None):
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if dtype in (pl.Date, pl.Datetime):
        return series.cast(pl.Datetime("us"))
    return series if dtype == pl.Boolean else series.cast(pl.String)


def _integers(series: pl.Series) -> pl.Series:
    """Int64, or Float64 where a value is beyond it."""
    small = series.cast(pl.Int64, strict=False)
    return small if small.null_count() == series.null_count() else series.cast(pl.Float64)
