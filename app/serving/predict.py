"""One checkpoint ready to predict: an ONNX Runtime session, and answers in the types of the target."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.domain.manifest import Manifest
from app.domain.numbers import JsonNumber, column_to_json
from app.domain.schema import Level

# Rows of one run: beyond it a run takes memory and gains no speed.
CHUNK = 1024


@dataclass(frozen=True)
class Inputs:
    """Raw columns as `model.onnx` takes them: numeric ones in order, then one array of texts for each categorical one."""

    rows: int
    features: NDArray[np.float64] | None
    """[rows, F], NaN is missing; None without numeric columns."""
    texts: tuple[NDArray[np.object_], ...] = ()
    """Each [rows, 1]; "" is missing."""

    def named(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """By the names of a session's inputs."""
        given = self.texts if self.features is None else (self.features, *self.texts)
        return dict(zip(names, given, strict=True))

    def part(self, start: int, stop: int) -> "Inputs":
        """The rows from `start` to before `stop`."""
        features = None if self.features is None else self.features[start:stop]
        return replace(
            self, rows=min(stop, self.rows) - start, features=features, texts=tuple(text[start:stop] for text in self.texts)
        )


@dataclass(frozen=True)
class Prediction:
    """Predictions in the order of the rows; non-finite numbers are the strings that JSON can carry."""

    predictions: Sequence[Level | JsonNumber | Sequence[Level | JsonNumber]]
    """With several target columns a list for each row, in the order of the target."""
    probabilities: Sequence[Sequence[JsonNumber]] | None
    """In the order of `classes`, of labels how probable each is; None for regression."""
    classes: list[Level] | None


@dataclass(frozen=True)
class Outputs:
    """What `model.onnx` answered, in the order of the rows."""

    labels: NDArray[np.generic]
    """[rows], with several target columns [rows, O]; classes in their own type, numbers as float64."""
    probabilities: NDArray[np.float32] | None
    """[rows, classes]; of labels how probable each is; None for regression."""


class Predictor:
    """A session on one `model.onnx`. May be used by several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession, manifest: Manifest) -> None:
        self._session = session
        self._names = [declared.name for declared in session.get_inputs()]
        self._classes = manifest.target.classes

    def predict(self, inputs: Inputs) -> Prediction:
        """Labels and probabilities, or numbers, of any number of rows."""
        if inputs.rows <= CHUNK:
            return self._predict(inputs)
        parts = [self._predict(inputs.part(start, start + CHUNK)) for start in range(0, inputs.rows, CHUNK)]
        probabilities = None if self._classes is None else list(chain.from_iterable(part.probabilities or () for part in parts))
        return Prediction(list(chain.from_iterable(part.predictions for part in parts)), probabilities, self._classes)

    def outputs(self, inputs: Inputs) -> Outputs:
        """The arrays as they are; of few rows, for they are run together."""
        found = self._session.run(None, inputs.named(self._names))
        return Outputs(found[0], None if self._classes is None else found[1])

    def _predict(self, inputs: Inputs) -> Prediction:
        outputs = self._session.run(None, inputs.named(self._names))
        if self._classes is None:
            return Prediction(_numbers(outputs[0]), None, None)
        return Prediction(outputs[0].tolist(), _rows(outputs[1]), self._classes)


def _numbers(block: NDArray[np.float64]) -> Sequence[JsonNumber] | Sequence[Sequence[JsonNumber]]:
    return column_to_json(block.tolist()) if block.ndim == 1 else _rows(block)


def _rows(block: NDArray[np.float32] | NDArray[np.float64]) -> Sequence[Sequence[JsonNumber]]:
    rows: list[list[JsonNumber]] = block.tolist()
    return rows if np.isfinite(block).all() else [column_to_json(row) for row in block.tolist()]


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread: requests run side by side, not one on all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # An arena would keep the memory of the largest request for as long as the session lives.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
