"""The target and the weights of rows: labels to codes, numbers standardized, one weight a row."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.columns import FittedTarget
from app.domain.schema import Column, level_text
from app.domain.spec import ResolvedSpec
from app.tabular.preprocessing import Vector, as_numbers, as_text, codes_of

Codes = NDArray[np.int64]


def fit_target(spec: ResolvedSpec, column: Column, training: pl.Series) -> FittedTarget:
    """The classes of the spec, or center and scale (mean and population σ; 1 where σ is 0) of the training rows.

    `preprocessing.target` is `standard` or `none` in a resolved spec.
    """
    if spec.classes is not None or spec.preprocessing.target != "standard":
        return FittedTarget(name=column.name, type=column.type, classes=spec.classes)
    values = as_numbers(training)
    spread = float(values.std())
    return FittedTarget(name=column.name, type=column.type, center=float(values.mean()), scale=spread or 1.0)


def encode_target(fitted: FittedTarget, target: pl.Series) -> Codes | Vector:
    """What the network is trained on, `[n]`: the class codes (int64), or (y - center) / scale (float64)."""
    if fitted.classes is not None:
        return codes_of(as_text(target), [level_text(label) for label in fitted.classes])
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
