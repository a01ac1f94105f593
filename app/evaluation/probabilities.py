"""Logits to probabilities and their logarithms."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Targets = Array | Codes
"""What is predicted: `[n]` class codes, `[n, L]` labels of 0 and 1, or `[n, O]` numbers in trained units."""
Probabilities = NDArray[Any]
"""float32 or float64."""

Precision = Literal["fp32", "fp64", "bf16"]


def type_of(precision: Precision) -> type[np.float32] | type[np.float64]:
    """The type in which a job of that precision has its probabilities."""
    return np.float64 if precision == "fp64" else np.float32


def log_softmax(z: Array) -> Array:
    """[n, O]."""
    shifted: Array = z - z.max(axis=1, keepdims=True)
    logarithms: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logarithms


def log_sigmoid(z: Array) -> Array:
    """Of any shape."""
    return -np.logaddexp(0.0, -z)


def softmax(z: Probabilities) -> Probabilities:
    """[n, O], in the type of z."""
    exponentials: Probabilities = np.exp(z - z.max(axis=1, keepdims=True))
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials


def sigmoid(z: Probabilities) -> Probabilities:
    """Of any shape, in the type of z; e^-|z| never overflows."""
    small = np.exp(-np.abs(z))
    likely: Probabilities = np.where(z >= 0, 1, small) / (1 + small)
    return likely
