"""The target and the weights of rows: labels to codes, numbers standardized, one weight a row."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.columns import AnyTarget, FittedTarget, FittedTargets
from app.domain.schema import Column, Task, level_text
from app.domain.spec import ResolvedSpec
from app.tabular.categories import as_text
from app.tabular.preprocessing import Vector, as_numbers, codes_of

Codes = NDArray[np.int64]


def target_columns(spec: ResolvedSpec) -> list[str]:
    """The names of the target's columns."""
    return [spec.target] if isinstance(spec.target, str) else spec.target


def fit_target(spec: ResolvedSpec, columns: Sequence[Column], training: pl.DataFrame) -> AnyTarget:
    """As `describe_target`, numbers with center and scale (mean and population σ; 1 where σ is 0) of the training rows.

    `preprocessing.target` is `standard` or `none` in a resolved spec.
    """
    described = describe_target(spec, columns)
    if described.classes is not None or spec.preprocessing.target != "standard":
        return described
    return _of_each(described, lambda column: _standardized(column, training))


def with_range(spec: ResolvedSpec, fitted: AnyTarget, training: pl.DataFrame) -> AnyTarget:
    """The same with the range of the training rows where predictions are clipped to it, else without one.

    It is the job's own, also where the rest was learned elsewhere.
    """
    if not spec.clip_predictions:
        return _of_each(fitted, lambda column: column.model_copy(update={"minimum": None, "maximum": None}))
    return _of_each(fitted, lambda column: _ranged(column, as_numbers(training[column.name])))


def _of_each(target: AnyTarget, change: Callable[[FittedTarget], FittedTarget]) -> AnyTarget:
    if isinstance(target, FittedTarget):
        return change(target)
    return FittedTargets(columns=[change(column) for column in target.columns])


def _ranged(target: FittedTarget, values: Vector) -> FittedTarget:
    return target.model_copy(update={"minimum": float(values.min()), "maximum": float(values.max())})


def describe_target(spec: ResolvedSpec, columns: Sequence[Column]) -> AnyTarget:
    """The target before any row was seen: its classes, or numbers as they are."""
    described = {column.name: column for column in columns}
    if isinstance(spec.target, str):
        return FittedTarget(name=spec.target, type=described[spec.target].type, classes=spec.classes)
    labels = spec.task is Task.MULTILABEL
    chosen = [described[name] for name in spec.target]
    parts = [FittedTarget(name=part.name, type=part.type, classes=part.levels if labels else None) for part in chosen]
    return FittedTargets(columns=parts)


def _standardized(target: FittedTarget, training: pl.DataFrame) -> FittedTarget:
    values = as_numbers(training[target.name])
    spread = float(values.std())
    return target.model_copy(update={"center": float(values.mean()), "scale": spread or 1.0})


def encode_target(fitted: AnyTarget, frame: pl.DataFrame) -> Codes | Vector:
    """What the network is trained on: the class codes (int64), or (y - center) / scale (float64).

    `[n]`; of several columns `[n, O]`, where the codes are 0 and 1.
    """
    if isinstance(fitted, FittedTargets):
        return cast(Codes | Vector, np.column_stack([_encoded(column, frame[column.name]) for column in fitted.columns]))
    return _encoded(fitted, frame[fitted.name])


def _encoded(fitted: FittedTarget, target: pl.Series) -> Codes | Vector:
    if fitted.classes is not None:
        return codes_of(as_text(target, fitted.type), [level_text(label) for label in fitted.classes])
    return (as_numbers(target) - fitted.center) / fitted.scale


def class_weights(spec: ResolvedSpec, training: Codes | Vector) -> Vector | None:
    """A weight for each class, `[C]`, or None; `balanced` is n / (C · n_c) over the training rows.

    A class that no training row has, or that the caller gave no weight, weighs 1.
    """
    if spec.classes is None or spec.class_weights is None:
        return None
    if isinstance(spec.class_weights, Mapping):
        return np.array([spec.class_weights.get(level_text(label), 1.0) for label in spec.classes])
    counts = np.bincount(training.astype(np.int64), minlength=len(spec.classes))
    return np.where(counts > 0, len(training) / (len(counts) * np.maximum(counts, 1)), 1.0)


def row_weights(by_class: Vector | None, codes: Codes | Vector, sample_weight: pl.Series | None) -> Vector | None:
    """The weight of each row, `[n]`: its class's times its own; None where all are 1."""
    weights = np.ones(len(codes)) if by_class is None else by_class[codes.astype(np.int64)]
    if sample_weight is not None:
        weights = weights * as_numbers(sample_weight)
    return None if np.all(weights == 1.0) else weights
