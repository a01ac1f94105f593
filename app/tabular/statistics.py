"""Statistics of a column, for people who look at their data."""

import math
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TOP = 10
LONGEST_SHOWN = 200

Number = int | float | None


class _Statistics(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    missing: int


class NumericStatistics(_Statistics):
    """Over the finite values; all None where there are none. `std` is the sample's (n - 1), None for one value.

    Booleans count as 0 and 1. `quantiles` are linearly interpolated, by probability: `{"0.05": ...}`.
    """

    kind: Literal["numeric", "boolean"]
    min: Number
    max: Number
    mean: Number
    std: Number
    quantiles: dict[str, Number]


class TopValue(BaseModel):
    """A value and how often it occurs; a long text is cut."""

    value: bool | int | float | str
    count: int


class CategoricalStatistics(_Statistics):
    """The number of different values and the most frequent ten."""

    kind: Literal["categorical"] = "categorical"
    cardinality: int
    top: list[TopValue]


class DatetimeStatistics(_Statistics):
    """The first and the last moment, ISO 8601, UTC."""

    kind: Literal["datetime"] = "datetime"
    min: str | None
    max: str | None


ColumnStatistics = Annotated[NumericStatistics | CategoricalStatistics | DatetimeStatistics, Field(discriminator="kind")]


def numeric_statistics(series: pl.Series, kind: Literal["numeric", "boolean"]) -> NumericStatistics:
    """Of a Boolean, Int64 or Float64 series."""
    values = series.drop_nulls()
    if series.dtype == pl.Float64:
        values = values.filter(values.is_finite())
    if series.dtype == pl.Boolean:
        values = values.cast(pl.Int64)
    values = values.sort()  # once for all quantiles
    return NumericStatistics(
        name=series.name,
        missing=series.null_count(),
        kind=kind,
        min=_scalar(values.min()),
        max=_scalar(values.max()),
        mean=_scalar((values / len(values)).sum()) if len(values) else None,
        std=_spread(values.cast(pl.Float64).to_numpy()),
        quantiles={str(q): _quantile(values, q) for q in QUANTILES},
    )


def _quantile(values: pl.Series, probability: float) -> Number:
    """Of half the values where that is no number: two of them may be further apart than the largest float."""
    found = _scalar(values.quantile(probability, interpolation="linear"))
    if found is None or math.isfinite(found):
        return found
    half = _scalar((values / 2).quantile(probability, interpolation="linear"))
    return None if half is None else half * 2


def _spread(values: NDArray[np.float64]) -> Number:
    """The standard deviation, also where the squares would leave the range of a float."""
    if len(values) < 2:
        return None
    largest = float(np.abs(values).max()) or 1.0
    return float((values / largest).std(ddof=1)) * largest


def categorical_statistics(series: pl.Series) -> CategoricalStatistics:
    """Of a Boolean, Int64, Float64 or String series."""
    found = series.drop_nulls().alias("value").value_counts(name="count")
    counts = found.sort(["count", "value"], descending=[True, False]).head(TOP)
    top = [TopValue(value=_shown(value), count=count) for value, count in counts.iter_rows()]
    return CategoricalStatistics(
        name=series.name, missing=series.null_count(), cardinality=series.drop_nulls().n_unique(), top=top
    )


def datetime_statistics(series: pl.Series) -> DatetimeStatistics:
    """Of a naive Datetime series in UTC."""
    first, last = series.dt.min(), series.dt.max()
    return DatetimeStatistics(name=series.name, missing=series.null_count(), min=_iso(first), max=_iso(last))


def _shown(value: bool | int | float | str) -> bool | int | float | str:
    return value if not isinstance(value, str) or len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"


def _iso(moment: object) -> str | None:
    return None if moment is None else f"{moment.isoformat()}Z"  # type: ignore[attr-defined]  # polars says PythonLiteral


def _scalar(value: object) -> Number:
    return value if isinstance(value, int | float) else None
