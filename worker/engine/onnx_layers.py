"""The layers of a trained network as ONNX wants them: read from a state_dict, batch norm folded in."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import TrainyardError

# torch's default in BatchNorm1d and LayerNorm.
EPSILON = 1e-5
_EMBEDDINGS = "embeddings."

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Dense:
    """z = x · weightᵀ + bias with weight [out, in], bias [out]; then layer norm where scale and shift [out] are given."""

    weight: Array
    bias: Array
    scale: Array | None = None
    shift: Array | None = None


def read_dense(weights: dict[str, NDArray[np.generic]]) -> list[Dense]:
    """The layers of an `nn.Sequential` of Linear, BatchNorm1d, LayerNorm and modules without parameters, from its state_dict.

    Embeddings are left out.

    Batch norm as in evaluation, with its running statistics, becomes part of the linear layer before it.
    """
    layers: list[Dense] = []
    for module in _modules(weights):
        if module["weight"].ndim == 2:
            layers.append(Dense(module["weight"], module["bias"]))
        elif "running_mean" in module:
            layers[-1] = _fold_batch_norm(layers[-1], module)
        else:
            layers[-1] = replace(layers[-1], scale=module["weight"], shift=module["bias"])
    return layers


def read_tables(weights: dict[str, NDArray[np.generic]]) -> list[Array]:
    """The tables of embeddings [levels + 1, width], in order."""
    count = sum(key.startswith(_EMBEDDINGS) for key in weights)
    return [np.asarray(weights[f"{_EMBEDDINGS}{index}.weight"], dtype=np.float64) for index in range(count)]


def _modules(weights: dict[str, NDArray[np.generic]]) -> list[dict[str, Array]]:
    """Parameters by module, in the order of the modules' numbers."""
    modules: dict[int, dict[str, Array]] = {}
    for key, values in weights.items():
        if key.startswith(_EMBEDDINGS):
            continue
        number, _, name = key.partition(".")
        if not number.isdecimal():
            raise TrainyardError(f"{key!r} is not a parameter of a plain network.")
        modules.setdefault(int(number), {})[name] = np.asarray(values, dtype=np.float64)
    return [modules[number] for number in sorted(modules)]


def _fold_batch_norm(layer: Dense, norm: dict[str, Array]) -> Dense:
    factor = norm["weight"] / np.sqrt(norm["running_var"] + EPSILON)
    return Dense(layer.weight * factor[:, None], (layer.bias - norm["running_mean"]) * factor + norm["bias"])
