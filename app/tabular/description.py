"""The description of a dataset: its columns as the rest of the product knows them, and their statistics."""

from collections.abc import Mapping

import polars as pl
from pydantic import BaseModel, ConfigDict

from app.domain.schema import MAX_LEVELS, Column, Kind, Level, StorageType
from app.tabular.statistics import ColumnStatistics, categorical_statistics, datetime_statistics, numeric_statistics

LEVELS_BYTES = 256 * 1024
_STORAGE: dict[type[pl.DataType], StorageType] = {
    pl.Boolean: StorageType.BOOL,
    pl.Int64: StorageType.INT64,
    pl.Float64: StorageType.FLOAT64,
    pl.Datetime: StorageType.DATETIME,
    pl.String: StorageType.STRING,
}


class Description(BaseModel):
    """What was found by a full pass over an upload."""

    model_config = ConfigDict(frozen=True)

    rows: int
    columns: list[Column]
    statistics: list[ColumnStatistics]


def describe(columns: Mapping[str, tuple[Kind, pl.Series]]) -> Description:
    """Describes typed columns of one length."""
    rows = len(next(iter(columns.values()))[1])
    described = [_column(series.alias(name), kind) for name, (kind, series) in columns.items()]
    statistics = [_statistics(series.alias(name), kind) for name, (kind, series) in columns.items()]
    return Description(rows=rows, columns=described, statistics=statistics)


def _column(series: pl.Series, kind: Kind) -> Column:
    values = series.drop_nulls()
    distinct = values.n_unique()
    integral = _integral(values)
    levels, counts = _levels(values) if distinct <= MAX_LEVELS and _has_levels(values, integral) else (None, None)
    finite = values.filter(values.is_finite()) if values.dtype.is_numeric() else values
    return Column(
        name=series.name,
        kind=kind,
        type=_STORAGE[type(series.dtype)],
        missing=series.null_count(),
        distinct=distinct,
        integral=integral,
        levels=levels,
        counts=counts,
        infinite=len(values) - len(finite),
        minimum=_bound(finite.min()) if finite.dtype != pl.String else None,
        maximum=_bound(finite.max()) if finite.dtype != pl.String else None,
    )


def _integral(values: pl.Series) -> bool:
    if values.dtype == pl.Float64:
        return len(values) > 0 and bool((values.is_finite() & (values == values.floor())).all())
    return values.dtype == pl.Int64


def _has_levels(values: pl.Series, integral: bool) -> bool:
    """True for strings and booleans, and for whole numbers; text that is long together is no set of labels."""
    if values.dtype == pl.String:
        return int(values.unique().str.len_bytes().sum()) <= LEVELS_BYTES
    return integral or values.dtype == pl.Boolean


def _levels(values: pl.Series) -> tuple[list[Level], list[int]]:
    found = values.alias("level").value_counts(name="count").sort("level")
    return found["level"].to_list(), found["count"].to_list()


def _bound(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _statistics(series: pl.Series, kind: Kind) -> ColumnStatistics:
    if kind is Kind.CATEGORICAL:
        return categorical_statistics(series)
    if kind is Kind.DATETIME:
        return datetime_statistics(series)
    return numeric_statistics(series, "boolean" if kind is Kind.BOOLEAN else "numeric")
