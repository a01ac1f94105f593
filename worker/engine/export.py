"""A checkpoint's files: weights.safetensors, model.json and model.onnx, which takes raw columns and gives predictions."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors.numpy import save

from app.domain.columns import AnyTarget, CategoricalColumn, FittedColumn, FittedTarget, FittedTargets, NumericColumn
from app.domain.manifest import Manifest
from app.domain.output import output_activation
from app.domain.schema import StorageType, Task
from app.domain.spec import Activation, ResolvedSpec
from worker.engine.ensembles import apart
from worker.engine.network import Weights
from worker.engine.onnx_ensembles import add_networks
from worker.engine.onnx_graph import Graph
from worker.engine.onnx_inputs import add_first_layer
from worker.engine.onnx_layers import EPSILON, Dense, read_dense, read_tables

FEATURES, LABEL, PROBABILITIES = "features", "label", "probabilities"


def write_weights(weights: Weights) -> bytes:
    """weights.safetensors: equal bytes for equal weights."""
    return save({name: np.ascontiguousarray(values) for name, values in weights.items()})


def manifest_json(manifest: Manifest) -> bytes:
    """model.json, for people and programs."""
    return (manifest.model_dump_json(indent=1) + "\n").encode()


def to_onnx(*, columns: Sequence[FittedColumn], target: AnyTarget, spec: ResolvedSpec, weights: Weights) -> bytes:
    """model.onnx of a plain network or of an ensemble, composed node by node, never traced.

    Inputs: `features` float64 [n, F], the numeric and boolean columns in order (NaN is missing), where there are any; then one
    string input [n, 1] named as its column for each categorical one ("" is missing). Outputs: `label` [n] in the target's own
    type; `probabilities` float32 [n, classes] for classification. Of several target columns `label` is [n, O], and of labels
    `probabilities` is the [n, O] of yes. `weights`: the state_dict of the equivalent nn.Sequential,
    of an ensemble with the prefix `members.0.` and so on.
    """
    names, networks = _text_names(columns), apart(weights)
    graph = Graph([FEATURES, LABEL, PROBABILITIES, *names])
    layers = [_layers_of(own, target) for own in networks]

    def first(layer: Dense) -> str:
        return add_first_layer(graph, columns, layer, tables=read_tables(networks[0]), features=FEATURES, texts=names)

    if spec.ensemble is None:
        logits = _add_network(graph, layers[0], spec.network.activation, first=first)
    else:
        is_class = isinstance(target, FittedTarget) and target.classes is not None  # of two, each has a logit here
        output = "softmax" if is_class else output_activation(spec)
        logits = add_networks(graph, layers, _ACTIVATIONS[spec.network.activation], first=first, output=output)
    outputs = _add_answer(graph, logits, target, spec)
    return graph.serialize(_inputs(columns, names), outputs, metadata=_metadata(columns, target, spec.task))


def _layers_of(weights: Weights, target: AnyTarget) -> list[Dense]:
    layers = read_dense(weights)
    if isinstance(target, FittedTarget) and target.classes is not None and len(layers[-1].bias) == 1:
        layers[-1] = _two_logits(layers[-1])
    return layers


def _text_names(columns: Sequence[FittedColumn]) -> list[str]:
    """Input names of the categorical columns: the column's own, with `_` behind it where another tensor has that name."""
    taken = {"", FEATURES, LABEL, PROBABILITIES}
    names: list[str] = []
    for column in filter(lambda column: isinstance(column, CategoricalColumn), columns):
        name = column.name
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def _inputs(columns: Sequence[FittedColumn], names: Sequence[str]) -> list[onnx.ValueInfoProto]:
    texts = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n", 1]) for name in names]
    width = sum(isinstance(column, NumericColumn) for column in columns)
    return [helper.make_tensor_value_info(FEATURES, TensorProto.DOUBLE, ["n", width]), *texts] if width else texts


def _metadata(columns: Sequence[FittedColumn], target: AnyTarget, task: Task) -> dict[str, str]:
    """What the graph itself does not say: which columns `features` are, and what stands in the outputs."""
    numeric = [column.name for column in columns if isinstance(column, NumericColumn)]
    facts = {"features": numeric, "target": target.name, "classes": target.classes, "task": task.value}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}


def _two_logits(layer: Dense) -> Dense:
    """One logit z as the logits (0, z), whose softmax is (1 - sigmoid(z), sigmoid(z)) without a lost digit."""
    return Dense(np.vstack([np.zeros_like(layer.weight), layer.weight]), np.concatenate([np.zeros(1), layer.bias]))


def _add_network(graph: Graph, layers: list[Dense], activation: Activation, *, first: Callable[[Dense], str]) -> str:
    """The last layer's output [n, out], before the output activation."""
    z = first(layers[0])
    for before, layer in pairwise(layers):
        hidden = _ACTIVATIONS[activation](graph, _add_layer_norm(graph, z, before))
        z = graph.add("Gemm", hidden, _float32(graph, "weight", layer.weight.T), _float32(graph, "bias", layer.bias))
    return z


def _float32(graph: Graph, hint: str, values: NDArray[np.float64]) -> str:
    return graph.constant(hint, values.astype(np.float32))


def _add_layer_norm(graph: Graph, z: str, layer: Dense) -> str:
    if layer.scale is None or layer.shift is None:
        return z
    scale, shift = _float32(graph, "scale", layer.scale), _float32(graph, "shift", layer.shift)
    return graph.add("LayerNormalization", z, scale, shift, axis=-1, epsilon=EPSILON)


_ACTIVATIONS: dict[Activation, Callable[[Graph, str], str]] = {
    "relu": lambda graph, z: graph.add("Relu", z),
    "leaky_relu": lambda graph, z: graph.add("LeakyRelu", z, alpha=0.01),
    "elu": lambda graph, z: graph.add("Elu", z, alpha=1.0),
    "selu": lambda graph, z: graph.add("Selu", z),
    "gelu": lambda graph, z: graph.add("Gelu", z, approximate="none"),
    "silu": lambda graph, z: graph.add("Mul", z, graph.add("Sigmoid", z)),
    "mish": lambda graph, z: graph.add("Mish", z),
    "tanh": lambda graph, z: graph.add("Tanh", z),
    "sigmoid": lambda graph, z: graph.add("Sigmoid", z),
    "identity": lambda graph, z: z,
}

_LABEL_TYPES: dict[StorageType, tuple[int, type]] = {
    StorageType.INT64: (TensorProto.INT64, np.int64),
    StorageType.FLOAT64: (TensorProto.DOUBLE, np.float64),
    StorageType.BOOL: (TensorProto.BOOL, np.bool_),
    StorageType.STRING: (TensorProto.STRING, np.object_),
    StorageType.DATETIME: (TensorProto.STRING, np.object_),
}


def _add_answer(graph: Graph, logits: str, target: AnyTarget, spec: ResolvedSpec) -> list[onnx.ValueInfoProto]:
    if target.classes is None:
        return _add_number(graph, logits, target, spec)
    return _add_labels(graph, logits, target) if isinstance(target, FittedTargets) else _add_label(graph, logits, target)


def _add_label(graph: Graph, logits: str, target: FittedTarget) -> list[onnx.ValueInfoProto]:
    """Softmax, and the class of the largest logit (the first of equals)."""
    onnx_type, numpy_type = _LABEL_TYPES[target.type]
    classes: NDArray[np.generic] = np.array(target.classes, dtype=numpy_type)
    graph.add("Softmax", logits, output=PROBABILITIES, axis=-1)
    best = graph.add("ArgMax", logits, axis=-1, keepdims=0)
    graph.add("Gather", graph.constant("classes", classes), best, output=LABEL)
    return [
        helper.make_tensor_value_info(LABEL, onnx_type, ["n"]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", len(classes)]),
    ]


def _add_labels(graph: Graph, logits: str, target: FittedTargets) -> list[onnx.ValueInfoProto]:
    """Sigmoid of each, and what is more probable than not: in the columns' own type where they share one, else as booleans."""
    types = {column.type for column in target.columns}
    onnx_type = _LABEL_TYPES[types.pop() if len(types) == 1 else StorageType.BOOL][0]
    graph.add("Sigmoid", logits, output=PROBABILITIES)
    likely = graph.add("Greater", PROBABILITIES, _float32(graph, "half", np.array(0.5)))
    graph.add("Cast", likely, output=LABEL, to=onnx_type)
    return [
        helper.make_tensor_value_info(LABEL, onnx_type, ["n", len(target.columns)]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", len(target.columns)]),
    ]


def _add_number(graph: Graph, output: str, target: AnyTarget, spec: ResolvedSpec) -> list[onnx.ValueInfoProto]:
    """[n] or [n, O] float64: y' * scale + center in float64, clipped; of a poisson loss e to the power of the output first."""
    shape: list[int | str] = ["n", len(target.columns)] if isinstance(target, FittedTargets) else ["n"]
    if len(shape) == 1:
        output = graph.add("Reshape", output, graph.constant("flat", np.array([-1])))
    y = graph.add("Cast", output, to=TensorProto.DOUBLE)
    if spec.loss.name == "poisson":
        y = graph.add("Exp", y)
    y = graph.add("Mul", y, graph.constant("target_scale", np.array(target.scale)))
    center = graph.constant("target_center", np.array(target.center))
    if target.range is None:
        graph.add("Add", y, center, output=LABEL)
    else:
        low, high = (graph.constant(name, np.array(end)) for name, end in zip(("lowest", "highest"), target.range, strict=True))
        graph.add("Min", graph.add("Max", graph.add("Add", y, center), low), high, output=LABEL)
    return [helper.make_tensor_value_info(LABEL, TensorProto.DOUBLE, shape)]
