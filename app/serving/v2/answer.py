"""An inference answer: its JSON, and behind it the binary values of the outputs that are to be so."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import orjson
from numpy.typing import NDArray

from app.serving.told import JSON, Told, Written, to_json
from app.serving.v2.datatypes import BYTES, bytes_of, datatype_of
from app.serving.v2.request import LABEL, PROBABILITIES, InferRequest

BINARY = "application/octet-stream"
HEADER_LENGTH = "Inference-Header-Content-Length"


def write_answer(told: Told, request: InferRequest, *, model: str) -> Written:
    """The outputs in the order in which they were asked for; `parameters` has the checkpoint and, as JSON, the warnings."""
    arrays = {LABEL: told.outputs.labels, PROBABILITIES: told.outputs.probabilities}
    chosen = request.outputs or dict.fromkeys(arrays, request.binary)
    found = [(name, values, binary) for name, binary in chosen.items() if (values := arrays[name]) is not None]
    outputs, parts = zip(*(_output(*output) for output in found), strict=True)
    head = orjson.dumps(_head(told, request, model) | {"outputs": outputs})
    if not any(binary for _, _, binary in found):
        return Written(head, JSON)
    return Written(b"".join((head, *parts)), BINARY, {HEADER_LENGTH: str(len(head))})


def _head(told: Told, request: InferRequest, model: str) -> dict[str, object]:
    version = told.checkpoint if told.version is None else str(told.version)
    given = {} if request.id is None else {"id": request.id}
    return {"model_name": model, "model_version": version, **given, "parameters": _parameters(told)}


def _parameters(told: Told) -> Mapping[str, str]:
    """A parameter is a text, a number or a boolean, so a list is a text."""
    warnings = [asdict(warning) for warning in told.warnings]
    return {"checkpoint": told.checkpoint} | ({"warnings": orjson.dumps(warnings).decode()} if warnings else {})


def _output(name: str, values: NDArray[np.generic], binary: bool) -> tuple[Mapping[str, object], bytes]:
    datatype = datatype_of(values)
    declared: dict[str, object] = {"name": name, "datatype": datatype, "shape": values.shape}
    if not binary:
        return declared | {"data": _flat(values)}, b""
    data = bytes_of(values.ravel().tolist()) if datatype == BYTES else values.tobytes()
    return declared | {"parameters": {"binary_data_size": len(data)}}, data


def _flat(values: NDArray[np.generic]) -> Sequence[object] | None:
    return to_json(values.ravel())
