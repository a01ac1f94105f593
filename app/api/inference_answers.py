"""The bodies of the Open Inference Protocol, whose words they have, as the document describes them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.answer_examples import shown
from app.api.answers import Answer
from app.api.inference_examples import ANSWERED, DESCRIBED, INFER, SERVER
from app.api.media import JSON
from app.api.openapi import Responses, media, problems
from app.api.problem_answers import SPARSE
from app.serving.v2.answer import BINARY, HEADER_LENGTH
from app.serving.v2.datatypes import DATATYPES
from app.serving.v2.request import LARGEST_DIMENSION, MOST_DIMENSIONS

Parameters = dict[str, object]
_DATATYPE = Field(json_schema_extra={"enum": list(DATATYPES)})
_SIZE = Field(ge=0, le=LARGEST_DIMENSION)
_SHAPE = Field(min_length=1, max_length=MOST_DIMENSIONS, description="`[rows]` or `[rows, columns]`.")


class InferInput(BaseModel):
    """An input: its values, flat or by rows, or with `binary_data_size` among its parameters behind the JSON."""

    name: str
    datatype: Annotated[str, _DATATYPE]
    shape: Annotated[list[Annotated[int, _SIZE]], _SHAPE]
    data: list[object] = []
    parameters: Parameters | None = None


class InferOutput(BaseModel):
    """An output that is wanted; `binary_data` among its parameters says whether behind the JSON."""

    name: Literal["label", "probabilities"]
    parameters: Parameters | None = None


class InferBody(BaseModel):
    """Inputs, and which outputs are wanted; all of them unless said."""

    id: str | None = None
    inputs: Annotated[list[InferInput], Field(min_length=1)]
    outputs: list[InferOutput] | None = None
    parameters: Parameters | None = None


class ServerMetadata(Answer):
    """The server."""

    model_config = shown(SERVER)

    name: str
    version: str
    extensions: Sequence[str]


class ServerLive(Answer):
    """The server is alive."""

    model_config = shown({"live": True})

    live: bool


class ServerReady(Answer):
    """The server can predict."""

    model_config = shown({"ready": True})

    ready: bool


class ModelReady(Answer):
    """The model can predict."""

    model_config = shown({"name": "iris", "ready": True})

    name: str
    ready: bool


class TensorMetadata(Answer):
    """An input or an output; -1 in a shape is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class Metadata(Answer):
    """A model; versions are numbers, or of a job the ids of its checkpoints."""

    model_config = shown(DESCRIBED)

    name: str
    versions: Sequence[str]
    platform: str
    inputs: Sequence[TensorMetadata]
    outputs: Sequence[TensorMetadata]


class OutputTensor(Answer):
    """Values of an output, flat, unless they stand behind the JSON."""

    model_config = SPARSE

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = None
    data: Sequence[bool | int | float | str] | None = None


class InferAnswer(Answer):
    """The outputs; `parameters` has the checkpoint and, as a text that is JSON, the warnings."""

    model_config = ConfigDict(**SPARSE, json_schema_extra={"examples": [ANSWERED]})

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, str]
    outputs: Sequence[OutputTensor]


REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER_LENGTH,
            "in": "header",
            "required": False,
            "description": "Bytes of the JSON, where binary values stand behind it.",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            **media({BINARY: None}),
            JSON: {"schema": {"$ref": f"#/components/schemas/{InferBody.__name__}"}, "examples": INFER},
        },
    },
}
INFERRED: Responses = {**problems(400, 404, 409, 413, 415), 200: {"model": InferAnswer, "content": media({BINARY: None})}}
