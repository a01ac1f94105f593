"""Predictions as a table."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.schema import Level, level_text
from app.serving.predict import Outputs


def frame_of(outputs: Outputs, *, targets: Sequence[str], classes: Sequence[Level] | None) -> pl.DataFrame:
    """`prediction`, with several targets `prediction_<target>`, then `probability_<class>`: no two names are alike."""
    return pl.DataFrame(dict(_columns(outputs, targets, classes)))


def _columns(outputs: Outputs, targets: Sequence[str], classes: Sequence[Level] | None) -> Iterator[tuple[str, pl.Series]]:
    names = ["prediction"] if len(targets) == 1 else [f"prediction_{name}" for name in targets]
    if outputs.labels is not None:
        yield from zip(names, _series(outputs.labels), strict=True)
    if outputs.probabilities is not None:
        names = [f"probability_{level_text(level)}" for level in classes or ()]
        yield from zip(names, _series(outputs.probabilities), strict=True)


def _series(values: NDArray[np.generic]) -> Sequence[pl.Series]:
    columns = values.reshape(len(values), -1).T
    if values.dtype.kind == "O":
        return [pl.Series(column.tolist(), dtype=pl.String) for column in columns]
    return [pl.Series(np.ascontiguousarray(column)) for column in columns]
