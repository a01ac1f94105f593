"""The numbers before the output activation: what a loss needs, where a probability in float32 has lost its digits."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import onnx
from numpy.typing import NDArray

from app.domain.manifest import Manifest
from app.serving.predict import Inputs, open_session

_LABEL, _PROBABILITIES = "label", "probabilities"
# What stands between the network's last number and the label of a regression, last first; only poisson has the Exp, and only
# predictions that are clipped have the ends of a range.
_NUMBER = ("Min", "Max", "Add", "Mul", "Exp", "Cast")


class Logits:
    """A session on a `model.onnx` that has one output more; for one evaluation, so nobody keeps it."""

    def __init__(self, content: bytes, manifest: Manifest) -> None:
        self._name = name = _before_activation(content)
        # Two ONNX documents, one behind the other, are one with the fields of both: an output more without another copy.
        more = onnx.ModelProto(graph=onnx.GraphProto(output=[onnx.ValueInfoProto(name=name)]))
        self._session = open_session(content + more.SerializeToString())
        self._inputs = [declared.name for declared in self._session.get_inputs()]
        self._outputs = manifest.spec.layers[-1]

    def of(self, inputs: Inputs) -> NDArray[np.float64]:
        """[rows, O]: O logits, or numbers in trained units (their logarithm where the activation is exp)."""
        [found] = self._session.run([self._name], inputs.named(self._inputs))
        logits = cast("NDArray[np.float32]", found).reshape(inputs.rows, -1).astype(np.float64)
        # One logit z stands in the file as the two (0, z).
        return logits[:, 1:] - logits[:, :1] if logits.shape[1] > self._outputs else logits


def _before_activation(content: bytes) -> str:
    """The tensor that softmax, sigmoid, exp or nothing makes the answer of."""
    nodes: Sequence[onnx.NodeProto] = onnx.load_model_from_string(content).graph.node
    makers = {name: node for node in nodes for name in node.output}
    if _PROBABILITIES in makers:
        return str(makers[_PROBABILITIES].input[0])
    tensor = _LABEL
    for operator in _NUMBER:
        if makers[tensor].op_type == operator:
            tensor = makers[tensor].input[0]
    return tensor
