"""A prediction before it is written in a format, and its JSON."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from app.domain.numbers import JsonNumber, column_to_json
from app.domain.schema import Level
from app.serving.findings import PredictionWarning
from app.serving.predict import Outputs

JSON = "application/json"


class Told(NamedTuple):
    """What was predicted, by which checkpoint; `model` and `version` where it was asked by them."""

    checkpoint: str
    outputs: Outputs
    target: Sequence[str]
    """The names of the target columns."""
    classes: Sequence[Level] | None
    """What the probabilities are of; None for regression."""
    warnings: Sequence[PredictionWarning]
    model: str | None = None
    version: int | None = None

    def written(self) -> dict[str, object]:
        """The members of the JSON answer, in their order; an output that was not wanted is None."""
        named = {} if self.model is None else {"model": self.model, "version": self.version}
        return {
            "object": "prediction",
            **named,
            "checkpoint": self.checkpoint,
            "predictions": to_json(self.outputs.labels),
            "probabilities": to_json(self.outputs.probabilities),
            "classes": self.classes,
            "warnings": self.warnings,
        }


class Written(NamedTuple):
    """An answer as it is sent."""

    body: bytes
    media_type: str
    headers: Mapping[str, str] = MappingProxyType({})


def write_json(told: Told) -> Written:
    """The answer as JSON; probabilities as the doubles that the network's float32 are."""
    return Written(orjson.dumps(told.written()), JSON)


def to_json(values: NDArray[np.generic] | None) -> Sequence[object] | None:
    """Nested lists with what JSON cannot carry as text."""
    if values is None:
        return None
    listed: list[object] = values.tolist()
    if values.dtype.kind != "f" or np.logical_and.reduce(np.isfinite(values), axis=None):
        return listed
    return _rows(values) if values.ndim > 1 else column_to_json(values.tolist())


def _rows(values: NDArray[np.generic]) -> Sequence[Sequence[JsonNumber]]:
    return [column_to_json(row) for row in values.tolist()]
