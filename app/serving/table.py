"""Predictions as a table."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.columns import AnyTarget
from app.domain.schema import level_text
from app.serving.predict import Outputs


def frame_of(outputs: Outputs, target: AnyTarget) -> pl.DataFrame:
    """`prediction`, with several targets `prediction_<target>`, then `probability_<class>`: no two names are alike."""
    return pl.DataFrame(dict(_columns(outputs, target)))


def _columns(outputs: Outputs, target: AnyTarget) -> Iterator[tuple[str, pl.Series]]:
    names = ["prediction"] if isinstance(target.name, str) else [f"prediction_{name}" for name in target.name]
    if outputs.labels is not None:
        yield from zip(names, _series(outputs.labels), strict=True)
    if outputs.probabilities is not None:
        names = [f"probability_{level_text(level)}" for level in target.classes or ()]
        yield from zip(names, _series(outputs.probabilities), strict=True)


def _series(values: NDArray[np.generic]) -> Sequence[pl.Series]:
    columns = values.reshape(len(values), -1).T
    if values.dtype.kind == "O":
        return [pl.Series(column.tolist(), dtype=pl.String) for column in columns]
    return [pl.Series(np.ascontiguousarray(column)) for column in columns]
