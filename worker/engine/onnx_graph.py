"""An ONNX graph under construction: nodes and constants, each under a name that nothing else has."""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

# The first opset with Gelu; everything here runs in ONNX Runtime from 1.17 on.
OPSET = 20
ML_OPSET = 3
IR_VERSION = 9
ML = "ai.onnx.ml"

Attribute = int | float | str | Sequence[int] | Sequence[str]


class Graph:
    """Nodes in the order they were added; `reserved` are names that inputs and outputs have."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, hint: str, values: NDArray[np.generic]) -> str:
        """The name of a constant tensor."""
        name = self._unique(hint)
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Attribute) -> str:
        """The name of the node's only output: `output`, or a new one."""
        name = output or self._unique(operator.lower())
        node = helper.make_node(operator, inputs, [name], domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self._nodes.append(node)
        return name

    def serialize(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        *,
        metadata: dict[str, str],
    ) -> bytes:
        """The whole as the bytes of an ONNX file, equal bytes for equal graphs."""
        graph = helper.make_graph(self._nodes, "model", inputs, outputs, initializer=self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="trainyard")
        helper.set_model_props(proto, metadata)
        return bytes(proto.SerializeToString())

    def _unique(self, hint: str) -> str:
        name, count = hint, 0
        while name in self._taken:
            count += 1
            name = f"{hint}_{count}"
        self._taken.add(name)
        return name
