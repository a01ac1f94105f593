"""The loss of each row in the target's own units, from logits and before weights; of several columns the mean over them."""

from collections.abc import Callable
from functools import partial

import numpy as np

from app.domain.custom import is_custom
from app.domain.output import output_activation
from app.domain.spec import ResolvedSpec
from app.evaluation.probabilities import Array, Targets, log_sigmoid, log_softmax

Distances = Callable[[Array], Array]
RowLosses = Callable[[Array, Targets], Array]
"""z [n, O] and targets to [n]."""


def row_losses(spec: ResolvedSpec, scale: Array) -> RowLosses | None:
    """The loss that a job trained by; `scale` [O] is the target's. None of a custom one, which runs on workers alone."""
    name = spec.loss.name
    if is_custom(name):
        return None
    if name == "focal":
        return _focal(spec)
    return _OF_ANSWERS[name](spec) if name in _OF_ANSWERS else _of_distances(_OF_DISTANCES[name](spec), scale)


def _cross_entropy(z: Array, y: Targets, *, smoothing: float) -> Array:
    """-Σ t · log softmax(z) with t = (1 - s) · one-hot + s / O."""
    log_p = log_softmax(z)
    return -(1 - smoothing) * _true(log_p, y) - smoothing * _mean(log_p)


def _bce(z: Array, y: Targets) -> Array:
    """-log σ(±z)."""
    return -_mean(_log_sigmoid_of_truth(z, y))


def _poisson(z: Array, y: Targets) -> Array:
    """exp(z) - y · z."""
    return _mean(np.exp(z) - y * z)


def _focal(spec: ResolvedSpec) -> RowLosses:
    gamma = getattr(spec.loss, "gamma", 0.0)
    competing = output_activation(spec) == "softmax"

    def losses(z: Array, y: Targets) -> Array:
        """(1 - p)^γ · -log p."""
        log_p = _true(log_softmax(z), y)[:, None] if competing else _log_sigmoid_of_truth(z, y)
        return _mean((-np.expm1(log_p)) ** gamma * -log_p)

    return losses


def _mean(cells: Array) -> Array:
    """[n]: over the outputs."""
    return np.asarray(cells.mean(axis=1))


def _true(cells: Array, y: Targets) -> Array:
    """Of each row the cell of its class."""
    return cells[np.arange(len(y)), y.astype(np.int64)]


def _log_sigmoid_of_truth(z: Array, y: Targets) -> Array:
    """[n, O]; y is [n] where O is 1."""
    return log_sigmoid(z * (2 * y.reshape(z.shape) - 1))


def _of_distances(loss: Distances, scale: Array) -> RowLosses:
    return lambda z, y: _mean(loss((z - y) * scale))


def _huber(d: Array, *, delta: float) -> Array:
    """d² / 2 within ±δ, δ · (|d| - δ / 2) beyond."""
    distance = np.abs(d)
    near = np.minimum(distance, delta)
    return near * (distance - near / 2)


def _pinball(d: Array, *, q: float) -> Array:
    """The cost q · |d| below the target, (1 - q) · |d| above."""
    return (0.5 - q) * d + np.abs(d) / 2


_OF_ANSWERS: dict[str, Callable[[ResolvedSpec], RowLosses]] = {
    "cross_entropy": lambda spec: partial(_cross_entropy, smoothing=getattr(spec.loss, "label_smoothing", 0.0)),
    "bce": lambda _: _bce,
    "poisson": lambda _: _poisson,
}
_OF_DISTANCES: dict[str, Callable[[ResolvedSpec], Distances]] = {
    "mse": lambda _: np.square,
    "l1": lambda _: np.abs,
    "huber": lambda spec: partial(_huber, delta=getattr(spec.loss, "delta", 1.0)),
    "quantile": lambda spec: partial(_pinball, q=getattr(spec.loss, "q", 0.5)),
}
