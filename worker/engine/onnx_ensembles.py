"""The networks of an ensemble as ONNX nodes: side by side in every product, and the mean of what they predict."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from worker.engine.onnx_graph import Graph
from worker.engine.onnx_layers import EPSILON, Array, Dense

Output = Literal["softmax", "sigmoid", "identity", "exp"]


def add_networks(
    graph: Graph,
    networks: Sequence[list[Dense]],
    activation: Callable[[Graph, str], str],
    *,
    first: Callable[[Dense], str],
    output: Output,
) -> str:
    """The logits [n, O] of the networks' mean prediction; `first` adds a first layer on raw columns.

    The first layers are one of all their units, so the columns are read once.
    """
    layers = [list(same) for same in zip(*networks, strict=True)]
    z = first(_side_by_side(layers[0]))
    shape = graph.constant("networks", np.array([0, len(networks), -1]))
    z = graph.add("Transpose", graph.add("Reshape", z, shape), perm=[1, 0, 2])
    for before, layer in pairwise(layers):
        hidden = activation(graph, _add_layer_norms(graph, z, before))
        weight = _float32(graph, "weight", [one.weight.T for one in layer])
        z = graph.add("Add", graph.add("MatMul", hidden, weight), _rows(graph, "bias", [one.bias for one in layer]))
    return _add_mean(graph, z, output, networks=len(networks))


def _side_by_side(layers: Sequence[Dense]) -> Dense:
    return Dense(np.vstack([layer.weight for layer in layers]), np.concatenate([layer.bias for layer in layers]))


def _float32(graph: Graph, hint: str, values: Sequence[Array]) -> str:
    """[K, …]."""
    return graph.constant(hint, np.stack(values).astype(np.float32))


def _rows(graph: Graph, hint: str, values: Sequence[Array]) -> str:
    """[K, 1, w]: for each row the same."""
    return _float32(graph, hint, [value[None] for value in values])


def _add_layer_norms(graph: Graph, z: str, layers: Sequence[Dense]) -> str:
    scales, shifts = [layer.scale for layer in layers], [layer.shift for layer in layers]
    if any(scale is None for scale in scales):
        return z
    ones = graph.constant("ones", np.ones(len(layers[0].bias), np.float32))
    normal = graph.add("LayerNormalization", z, ones, axis=-1, epsilon=EPSILON)
    scaled = graph.add("Mul", normal, _rows(graph, "scale", [scale for scale in scales if scale is not None]))
    return graph.add("Add", scaled, _rows(graph, "shift", [shift for shift in shifts if shift is not None]))


def _add_mean(graph: Graph, z: str, output: Output, *, networks: int) -> str:
    """[n, O] of z [K, n, O]: as `pooled` of ensembles.py."""
    first = graph.constant("first", np.array([0]))
    match output:
        case "identity":
            return graph.add("ReduceMean", z, first, keepdims=0)
        case "softmax":
            return graph.add("ReduceLogSumExp", graph.add("LogSoftmax", z, axis=-1), first, keepdims=0)
        case "sigmoid":
            yes, no = (_add_log_sigmoid(graph, one) for one in (z, graph.add("Neg", z)))
            total = [graph.add("ReduceLogSumExp", one, first, keepdims=0) for one in (yes, no)]
            return graph.add("Sub", *total)
    summed = graph.add("ReduceLogSumExp", z, first, keepdims=0)
    return graph.add("Sub", summed, graph.constant("log_networks", np.array(np.log(networks), np.float32)))


def _add_log_sigmoid(graph: Graph, z: str) -> str:
    """-softplus(-z)."""
    return graph.add("Neg", graph.add("Softplus", graph.add("Neg", z)))
