"""Examples of the Open Inference Protocol for the reference."""

from fastapi.openapi.models import Example

from app.api.answer_examples import IDS, Shown

INFER: dict[str, Example] = {
    "features": {
        "summary": "One tensor, of a model whose features are all numbers",
        "value": {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]},
    },
    "columns": {
        "summary": "An input for each column, and one output",
        "value": {
            "inputs": [
                {"name": "age", "datatype": "FP64", "shape": [2, 1], "data": [31, 54]},
                {"name": "city", "datatype": "BYTES", "shape": [2, 1], "data": ["Ulm", "Bonn"]},
            ],
            "outputs": [{"name": "label"}],
        },
    },
}
SERVER: Shown = {"name": "trainyard", "version": "0.1.0", "extensions": ["binary_tensor_data"]}
_LABEL: Shown = {"name": "label", "datatype": "BYTES", "shape": [-1]}
DESCRIBED: Shown = {
    "name": "iris",
    "versions": ["1", "2", "3"],
    "platform": "onnxruntime_onnx",
    "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [_LABEL, {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
}
ANSWERED: Shown = {
    "model_name": "iris",
    "model_version": "1",
    "id": "42",
    "parameters": {"checkpoint": IDS["checkpoint_id"]},
    "outputs": [
        {**_LABEL, "shape": [1], "data": ["setosa"]},
        {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": [0.974, 0.026, 0.0]},
    ],
}
