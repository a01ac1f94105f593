"""Reading Parquet: sizes are judged before cells are read, and only flat columns of plain types are taken."""

from pathlib import Path

import polars as pl

from app.tabular.limits import Limits
from app.tabular.refusal import Refused
from app.tabular.table import Table, check_cells, check_names

MAGIC = b"PAR1"
UNREADABLE = "this is not a readable Parquet file."


def read_parquet(path: Path, *, limits: Limits) -> Table:
    """A table of Int64, Float64, Boolean, String and naive (UTC) Datetime columns.

    Raises Refused: for a damaged file, nested or unusual types, no rows, or a passed limit.
    """
    try:
        return _read(path, limits)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        raise Refused.data(UNREADABLE) from None


def _read(path: Path, limits: Limits) -> Table:
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise Refused.data(UNREADABLE)
    schema = pl.read_parquet_schema(path)
    check_names(list(schema), limits)
    for name, dtype in schema.items():
        if not _plain(dtype):
            raise Refused.data(f"the type {str(dtype).split('(')[0]} is not supported.", column=name)
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    check_cells(rows, len(schema), limits)
    if not rows:
        raise Refused.data("the file has no rows.")
    return Table(rows, _columns(path, list(schema), limits))


def _columns(path: Path, names: list[str], limits: Limits) -> dict[str, pl.Series]:
    columns, text = {}, 0
    for name in names:
        series = pl.read_parquet(path, columns=[name])[name]
        columns[name] = _converted(series)
        if columns[name].dtype == pl.String:
            text += int(columns[name].str.len_bytes().sum())
        if text > limits.inflated_bytes:
            raise Refused.size(f"the text of the file is more than {limits.inflated_bytes} bytes.")
    return columns


def _plain(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Null)


def _converted(series: pl.Series) -> pl.Series:
    """The series in one of the five storage types; NaN stays for the caller."""
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
