"""From a stored dataset to the arrays of a job: everything that training needs, read once."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from app.domain.columns import AnyTarget, FittedColumn
from app.domain.errors import InvalidData
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec
from app.tabular.preprocessing import Matrix, Vector, fit, transform
from app.tabular.split import Indices, split
from app.tabular.target import (
    Codes,
    class_weights,
    describe_target,
    encode_target,
    fit_target,
    row_weights,
    target_columns,
    with_range,
)

Source = bytes | Path
"""A stored dataset."""


def read_columns(parquet: Source, names: tuple[str, ...]) -> pl.DataFrame:
    """The columns of a stored dataset, in this order."""
    return pl.read_parquet(io.BytesIO(parquet) if isinstance(parquet, bytes) else parquet, columns=list(names))


@dataclass(frozen=True)
class Fitted:
    """What was learned of the columns."""

    columns: list[FittedColumn]
    target: AnyTarget
    class_weights: list[float] | None = field(default=None, kw_only=True)
    """Of each class, where the spec weighs them."""


@dataclass(frozen=True)
class Loaded(Fitted):
    """The arrays of a job, in file order within each part; `n` rows, `F` inputs.

    `x_…` is float64 `[n, F]`. `y_…` is `[n]`: class codes (int64), or numbers standardized by `target` (float64); with
    several target columns `[n, O]`.
    `w_…` is float64 `[n]`, or None where all weights are 1. A part that was not asked for has no rows.
    """

    x_train: Matrix
    y_train: Codes | Vector
    w_train: Vector | None
    x_val: Matrix
    y_val: Codes | Vector
    w_val: Vector | None
    x_test: Matrix
    y_test: Codes | Vector
    w_test: Vector | None


def load(
    spec: ResolvedSpec,
    columns: Sequence[Column],
    parquet: Source,
    *,
    validation: Source | None = None,
    test: Source | None = None,
    read: Callable[[Source, tuple[str, ...]], pl.DataFrame] = read_columns,
    given: Fitted | None = None,
) -> Loaded:
    """Reads the columns of the spec, leaves out rows without target, splits, fits on the training rows and transforms.

    `validation` and `test` are the datasets that are these parts, where the spec names such; `columns` are those of `parquet`.
    `read` is as `read_columns`: whoever loads many jobs of one dataset need not read it as often.
    `given` was learned elsewhere, and nothing is fitted; the spec's classes are its.

    Raises InvalidData: a value is missing where the spec refuses that, or a part has rows but no weight.
    """
    frame = _known(spec, read(parquet, columns_read(spec, spec.split.column)))
    codes = encode_target(given.target if given else describe_target(spec, columns), frame)
    parts = split(spec, codes, frame)
    learned = given or _learned(spec, columns, frame[parts.train])
    learned = replace(learned, target=with_range(spec, learned.target, frame[parts.train]))
    by_class = class_weights(spec, codes[parts.train])

    def arrays(rows: Indices, own: Source | None = None) -> tuple[Matrix, Codes | Vector, Vector | None]:
        part = frame[rows] if own is None else _known(spec, read(own, columns_read(spec)))
        y = encode_target(learned.target, part)
        weights = row_weights(by_class, y, part[spec.sample_weight] if spec.sample_weight else None)
        if weights is not None and len(weights):
            check_weight(spec, float(weights.sum()))
        return transform(learned.columns, part), y, weights

    split_arrays = *arrays(parts.train), *arrays(parts.validation, validation), *arrays(parts.test, test)
    return Loaded(learned.columns, learned.target, *split_arrays, class_weights=as_list(by_class))


def _learned(spec: ResolvedSpec, columns: Sequence[Column], training: pl.DataFrame) -> Fitted:
    return Fitted(fit(spec, columns, training), fit_target(spec, columns, training))


def as_list(weights: Vector | None) -> list[float] | None:
    """As a document has it."""
    return None if weights is None else weights.tolist()


def check_weight(spec: ResolvedSpec, weight: float) -> None:
    """Raises InvalidData: a part without weight has no mean loss."""
    if not weight:
        sentence = "of the training, validation or test rows every one has the weight 0: split otherwise."
        raise InvalidData(f"By the column {spec.sample_weight!r}, {sentence}")


def columns_read(spec: ResolvedSpec, split_column: str | None = None) -> tuple[str, ...]:
    """The names of what is read of a dataset, each once."""
    extra = filter(None, (spec.sample_weight, split_column))
    return tuple(dict.fromkeys([*spec.features, *target_columns(spec), *extra]))


def _known(spec: ResolvedSpec, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with a target."""
    return frame.drop_nulls(target_columns(spec))
