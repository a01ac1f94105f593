"""The answer to an evaluation."""

import math
from collections.abc import Mapping
from typing import TypedDict, cast

from trainyard.answers import numbers


class EvaluationWarning(TypedDict):
    """Something to know of `count` rows, or of so many values of a column."""

    code: str
    detail: str
    count: int | None
    column: str | None


class Evaluation(TypedDict):
    """A checkpoint on other data; `loss` is None where only workers can compute it, a metric NaN where it is undefined."""

    job: str
    checkpoint: str
    epoch: int
    dataset: str
    rows: int
    loss: float | None
    metrics: dict[str, float | None]
    warnings: list[EvaluationWarning]


def evaluation_of(answer: object) -> Evaluation:
    """An evaluation as the API answers it, its numbers as floats."""
    found = cast(Evaluation, answer)
    loss, *metrics = numbers([found["loss"], *found["metrics"].values()])
    return {**found, "loss": loss, "metrics": dict(zip(found["metrics"], metrics, strict=True))}


def json_of(found: Evaluation) -> Mapping[str, object]:
    """The other way round: as JSON can carry it."""
    metrics = {name: _worded(value) for name, value in found["metrics"].items()}
    return {**found, "loss": _worded(found["loss"]), "metrics": metrics}


def _worded(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
