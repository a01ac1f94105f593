"""What a model takes and gives, as the protocol tells it: of an all-numeric model one tensor, else an input for each column."""

from collections.abc import Sequence

from app.domain.columns import CategoricalColumn, FittedColumn
from app.domain.schema import StorageType
from app.serving.features import Features
from app.serving.sessions import Ready
from app.serving.v2.datatypes import BYTES, datatype_of_onnx
from app.serving.v2.source import FEATURES

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ("binary_tensor_data",)

_OF_CATEGORIES = {StorageType.INT64: "INT64", StorageType.FLOAT64: "FP64", StorageType.BOOL: "BOOL"}
Declared = dict[str, object]


def metadata(ready: Ready, *, name: str, versions: Sequence[str]) -> Declared:
    """Of a checkpoint under a name."""
    outputs = [
        {"name": output, "datatype": datatype_of_onnx(type), "shape": [-1, *shape[1:]]}
        for output, (type, shape) in ready.predictor.outputs.items()
    ]
    inputs = inputs_of(ready.features)
    return {"name": name, "versions": versions, "platform": PLATFORM, "inputs": inputs, "outputs": outputs}


def inputs_of(features: Features) -> list[Declared]:
    """The inputs of a model with these features."""
    if features.is_numeric:
        return [{"name": FEATURES, "datatype": "FP32", "shape": [-1, len(features.columns)]}]
    return [{"name": column.name, "datatype": _datatype(column), "shape": [-1, 1]} for column in features.columns]


def _datatype(column: FittedColumn) -> str:
    """Numbers are FP64, of which NaN is missing."""
    if isinstance(column, CategoricalColumn):
        return _OF_CATEGORIES.get(column.type, BYTES)
    return "BOOL" if column.kind == "boolean" or column.type is StorageType.BOOL else "FP64"
