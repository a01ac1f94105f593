"""Raw columns to the inputs of a network: fitting on training rows, then one float64 formula a column."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.columns import FARTHEST, CategoricalColumn, FittedColumn, NumericColumn, own_width
from app.domain.errors import InvalidData
from app.domain.schema import Column, Kind, level_text
from app.domain.spec import Preprocessing, ResolvedSpec
from app.tabular.categories import as_text
from app.tabular.numeric_features import fill, fit_features

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
QUANTILES = 100
"""Steps of the piecewise-linear rank, at most."""
CLIP = 3.0
"""Where `robust_clip` ends: three interquartile ranges from the median count nearly as infinitely many."""


def fit(spec: ResolvedSpec, columns: Sequence[Column], training: pl.DataFrame) -> list[FittedColumn]:
    """Fits the features of the spec, in its order.

    Levels, and which columns get a missing indicator, come from `columns` (the whole dataset); every other number comes
    from `training`, over the values that are there.
    """
    described = {column.name: column for column in columns}
    return [fit_column(spec, described[name], training[name]) for name in spec.features]


def transform(columns: Sequence[FittedColumn], frame: pl.DataFrame) -> Matrix:
    """The inputs `[n, F + E]`, float64: for a number (x' - center) * scale, clipped or not, for a category its one-hot row.

    Behind all of these stand numeric features, then of each of the E embedded categories the code: 0 for missing or unseen, 1
    for the first level, ….
    Raises InvalidData: a value is missing where the spec said `missing: "error"`.
    """
    widths = [own_width(column) for column in columns]
    embedded = sum(isinstance(column, CategoricalColumn) and column.embedding is not None for column in columns)
    counts = [column.features.count for column in columns if isinstance(column, NumericColumn) and column.features]
    inputs = np.zeros((len(frame), sum(widths) + sum(counts) + embedded))
    blocks = np.split(inputs, np.cumsum([*widths, *counts]), axis=1)
    codes, features = iter(blocks.pop().T), iter(blocks[len(widths) :])
    for column, block in zip(columns, blocks[: len(widths)], strict=True):
        if isinstance(column, NumericColumn):
            _numbers(column, as_numbers(frame[column.name]), block)
            if column.features:
                fill(column.features, block[:, 0], next(features))
        elif column.embedding is None:
            _one_hot(column, as_text(frame[column.name], column.type), block)
        else:
            next(codes)[:] = 1 + _codes(column, as_text(frame[column.name], column.type), block)
    return inputs


def as_numbers(series: pl.Series) -> Matrix:
    """Booleans and numbers as float64 `[n]`; NaN is missing."""
    if series.dtype == pl.Float64 and not series.null_count():
        return series.to_numpy()  # as it stands: a call of polars costs more than the column of a small dataset
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def fit_column(spec: ResolvedSpec, column: Column, training: pl.Series) -> FittedColumn:
    """One feature by itself; see `fit`."""
    kind = spec.columns.get(column.name, column.kind)
    if kind is Kind.CATEGORICAL:
        widths = {embedding.column: embedding.width for embedding in spec.embeddings}
        return _fit_category(spec.preprocessing, column, training, embedding=widths.get(column.name))
    values = as_numbers(training)
    seen = values[~np.isnan(values)]
    fitted = _fit_number(spec.preprocessing, column, seen, boolean=kind is Kind.BOOLEAN)
    if column.name not in spec.numeric_feature_columns:
        return fitted
    return fitted.model_copy(update={"features": fit_features(spec, fitted, _inputs(fitted, seen))})


def _fit_category(
    preprocessing: Preprocessing, column: Column, training: pl.Series, *, embedding: int | None
) -> CategoricalColumn:
    levels = [level_text(level) for level in column.levels or ()]
    return CategoricalColumn(
        name=column.name,
        type=column.type,
        kind="categorical",
        levels=levels,
        impute=_commonest(as_text(training, column.type), levels) if preprocessing.missing == "most_frequent" else None,
        refuse_missing=preprocessing.missing == "error",
        indicator=preprocessing.has_indicators and column.missing > 0,
        signed=preprocessing.is_signed(len(levels)),
        embedding=embedding,
    )


def _commonest(text: pl.Series, levels: list[str]) -> str | None:
    """The most frequent level; of equals the first. None where there is none."""
    counts = dict(text.drop_nulls().alias("level").value_counts(name="count").iter_rows())
    return max(levels, key=lambda level: counts.get(level, 0)) if counts else None


def _fit_number(preprocessing: Preprocessing, column: Column, values: Vector, *, boolean: bool) -> NumericColumn:
    """Of the training values that are there, `[m]`."""
    refuse, seen = preprocessing.missing == "error", len(values) > 0
    center, scale, quantiles = _scaling(preprocessing.numeric, values) if seen else (0.0, 0.0, None)
    return NumericColumn(
        name=column.name,
        type=column.type,
        kind="boolean" if boolean else "numeric",
        impute=None if refuse else _typical(preprocessing.missing, values) if seen else 0.0,
        indicator=preprocessing.has_indicators and column.missing > 0,
        center=center,
        scale=scale,
        quantiles=quantiles,
        clip=CLIP if preprocessing.numeric == "robust_clip" else None,
        minimum=float(values.min()) if seen else None,
        maximum=float(values.max()) if seen else None,
    )


def _typical(missing: str, values: Vector) -> float:
    """What stands in for a missing value; of equally frequent ones the smallest."""
    if missing in ("median", "median_indicator"):
        return float(np.median(values))
    if missing == "most_frequent":
        found, counts = np.unique(values, return_counts=True)
        return float(found[counts.argmax()])
    return float(values.mean())


def _scaling(numeric: str, values: Vector) -> tuple[float, float, list[float] | None]:
    """Center, scale, quantiles; the scale of a constant column is 0, except where nothing is scaled."""
    low, high = float(values.min()), float(values.max())
    if numeric == "none":
        return 0.0, 1.0, None
    if low == high:
        return low, 0.0, None
    if numeric == "quantile":
        return 0.0, 1.0, _knots(values)
    if numeric == "minmax":
        return low, _inverse(high - low), None
    if numeric.startswith("robust"):
        first, median, third = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        spread = third - first or ((high - low) / 2 if numeric == "robust_clip" else float(values.std()))
        return median, _inverse(spread), None
    return float(values.mean()), _inverse(float(values.std())), None


def _inverse(spread: float) -> float:
    """1 / spread; 0 where the spread is too small or too large to divide by."""
    inverse = 1 / spread if spread else 0.0
    return inverse if np.isfinite(inverse) else 0.0


def _knots(values: Vector) -> list[float]:
    """Quantiles at equal steps; equal ones count once, so that they ascend strictly."""
    steps = min(QUANTILES, len(values) - 1)
    return [float(knot) for knot in np.unique(np.quantile(values, np.linspace(0, 1, steps + 1)))]


def _inputs(column: NumericColumn, values: Vector) -> Vector:
    """What a column's first input is for values that are there."""
    block = np.zeros((len(values), own_width(column)))
    _numbers(column, values, block)
    return block[:, 0]


def _numbers(column: NumericColumn, values: Vector, block: Matrix) -> None:
    """Fills `block`, `[n, width]`, which is all 0."""
    missing = np.isnan(values)
    if column.impute is None and missing.any():
        raise InvalidData(f"Column {column.name!r} has missing values, which the spec refuses.")
    if column.indicator:
        block[:, 1] = missing
    filled = np.where(missing, column.impute or 0.0, values)
    ranked = filled if column.quantiles is None else _rank(filled, np.array(column.quantiles))
    z = (ranked - column.center) * column.scale
    block[:, 0] = z if column.clip is None else _clipped(z, column.clip)


def _clipped(z: Vector, limit: float) -> Vector:
    """Within ±limit, smoothly; model.onnx takes the same steps, so that both have the same bits."""
    near: Vector = z.clip(-FARTHEST, FARTHEST)
    clipped: Vector = near / np.sqrt(1 + np.square(near / limit))
    return clipped


def _rank(values: Vector, knots: Vector) -> Vector:
    """(i + clip((x - e_i) / (e_i+1 - e_i), 0, 1)) / q, where i is the last of 0 … q - 1 with e_i ≤ x, else 0."""
    steps = len(knots) - 1
    i = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, steps - 1)
    return (i + np.clip((values - knots[i]) / (knots[i + 1] - knots[i]), 0.0, 1.0)) / steps


def _one_hot(column: CategoricalColumn, text: pl.Series, block: Matrix) -> None:
    """Fills `block`, `[n, width]`, which is all 0."""
    codes = _codes(column, text, block)
    rows = np.flatnonzero(codes >= 0)
    if column.signed:
        block[rows, 0] = 2.0 * codes[rows] - 1
    else:
        block[rows, codes[rows]] = 1.0


def _codes(column: CategoricalColumn, text: pl.Series, block: Matrix) -> NDArray[np.int64]:
    """`codes_of` what stands in for missing values; their indicator is the last column of `block`, which is all 0."""
    missing = text.is_null().to_numpy()
    if column.refuse_missing and missing.any():
        raise InvalidData(f"Column {column.name!r} has missing values, which the spec refuses.")
    if column.indicator:
        block[:, -1] = missing
    if column.impute is not None:
        text = text.fill_null(column.impute)
    return codes_of(text, column.levels)


def codes_of(text: pl.Series, levels: Sequence[str]) -> NDArray[np.int64]:
    """The place of each text among the levels, `[n]`; -1 for missing and for what is no level."""
    places = pl.Series(range(len(levels)), dtype=pl.Int64)
    return (
        text.replace_strict(pl.Series(levels, dtype=pl.String), places, default=-1, return_dtype=pl.Int64)
        .fill_null(-1)
        .to_numpy()
    )
