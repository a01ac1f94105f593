"""One checkpoint ready to predict: an ONNX Runtime session, and answers in the types of the target."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import mul
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.domain.manifest import Manifest
from app.serving.sent import BOTH, PREDICTIONS, PROBABILITIES, Wanted

# Rows of one run: beyond it a run takes memory and gains no speed.
CHUNK = 1024
LABEL = "label"
# The outputs of the file, label first, by the API's words.
_NAMED = {LABEL: PREDICTIONS, PROBABILITIES: PROBABILITIES}


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


class Outputs(NamedTuple):
    """What `model.onnx` answered, as far as it was wanted, in the order of the rows."""

    labels: NDArray[np.generic] | None
    """[rows], with several target columns [rows, O]; classes in their own type, numbers as float64."""
    probabilities: NDArray[np.float32] | None
    """[rows, classes]; of labels how probable each is; None for regression."""


class Predictor:
    """A session on one `model.onnx`. May be used by several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession, manifest: Manifest) -> None:
        self._session = session
        self._names = [declared.name for declared in session.get_inputs()]
        self.outputs = {found.name: (found.type, found.shape) for found in session.get_outputs()}
        """By name, in their order: the type as ONNX Runtime tells it, and the shape, of which the first is no number."""
        layers = manifest.spec.layers
        self.multiplications: int = manifest.spec.networks * sum(map(mul, layers, layers[1:]))
        """Of one row, about."""

    def predict(self, inputs: Inputs, wanted: Wanted = BOTH, *, go_on: Callable[[], None] = lambda: None) -> Outputs:
        """Any number of rows, `CHUNK` at a time; between them `go_on` may raise."""
        names = [name for name in self.outputs if _NAMED[name] in wanted]
        found = self._run(names, inputs) if inputs.rows <= CHUNK else self._joined(names, inputs, go_on)
        if len(found) == 2:
            return Outputs(*found)
        return Outputs(found[0], None) if names == [LABEL] else Outputs(None, found[0])

    def _joined(self, names: Sequence[str], inputs: Inputs, go_on: Callable[[], None]) -> list[NDArray[Any]]:
        parts = self._chunks(names, inputs, go_on)
        return [np.concatenate(blocks) for blocks in zip(*parts, strict=True)]

    def _chunks(self, names: Sequence[str], inputs: Inputs, go_on: Callable[[], None]) -> Iterator[list[NDArray[Any]]]:
        for start in range(0, inputs.rows, CHUNK):
            go_on()
            yield self._run(names, inputs.part(start, start + CHUNK))

    def _run(self, names: Sequence[str], inputs: Inputs) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = self._session.run(names, inputs.named(self._names))
        return found


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread: requests run side by side, not one on all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # An arena would keep the memory of the largest request for as long as the session lives.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
