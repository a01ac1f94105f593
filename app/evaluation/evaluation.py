"""The loss and all metrics of a job over rows that come in pieces."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from app.domain.output import output_activation
from app.domain.schema import Task
from app.domain.spec import ResolvedSpec
from app.evaluation.classes import ClassSums
from app.evaluation.labels import LabelSums
from app.evaluation.losses import row_losses
from app.evaluation.numbers import NumberSums
from app.evaluation.probabilities import Array, Probabilities, Targets, sigmoid, softmax, type_of


class Sums(Protocol):
    """What the metrics of a task are made of."""

    def add(self, answers: Probabilities, y: Targets, w: Array, /) -> None:
        """More rows: numbers in trained units, or probabilities."""

    def metrics(self, *, alive: Callable[[], None]) -> dict[str, float]:
        """All metrics of the task; `alive` is called now and then."""


class Evaluation:
    """Takes at most `rows` rows of what a checkpoint made of them; `scale` [O] is that of the target.

    Predictions are clipped to `limits`, two of [O] in trained units. What all rows are needed for goes to files in `folder`.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        *,
        scale: Array,
        rows: int,
        limits: tuple[Array, Array] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._losses = row_losses(spec, scale)
        self._type, self._output = type_of(spec.precision), output_activation(spec)
        numbers = spec.task is Task.REGRESSION
        self._sums: Sums = NumberSums(scale, limits=limits) if numbers else _sums_of(spec, rows=rows, folder=folder)
        self._lost = 0.0
        self.rows, self.weight = 0, 0.0

    def add(self, z: Array, y: Targets, w: Array | None) -> None:
        """More rows: z [n, O] before the output activation, y [n] or [n, O] as trained on, w [n] or None where all are 1."""
        w = np.ones(len(y)) if w is None else w
        y = y.reshape(z.shape) if self._is_number else y
        self.rows += len(y)
        self.weight += float(w.sum())
        with np.errstate(all="ignore"):  # a diverged network's numbers are answered as they are
            if self._losses is not None:
                self._lost += float(self._losses(z, y) @ w)
            self._sums.add(self._answers(z), y, w)

    @property
    def _is_number(self) -> bool:
        return self._output in ("identity", "exp")

    def _answers(self, z: Array) -> Probabilities:
        if self._is_number:
            return np.exp(z) if self._output == "exp" else z
        rounded: Probabilities = z.astype(self._type)
        return softmax(rounded) if self._output == "softmax" else sigmoid(rounded)

    @property
    def loss(self) -> float | None:
        """Σ w · l / Σ w; None of a custom loss."""
        return None if self._losses is None else self._lost / self.weight

    def metrics(self, *, alive: Callable[[], None] = lambda: None) -> dict[str, float]:
        """All metrics of the task by their plain names; NaN where one is undefined."""
        with np.errstate(all="ignore"):
            return self._sums.metrics(alive=alive)


def _sums_of(spec: ResolvedSpec, *, rows: int, folder: Path | None) -> Sums:
    type = type_of(spec.precision)
    if spec.task is Task.MULTILABEL:
        return LabelSums(spec.layers[-1], rows=rows, type=type, folder=folder)
    return ClassSums(max(2, spec.layers[-1]), binary=spec.task is Task.BINARY, rows=rows, type=type, folder=folder)
