"""An inference request: its JSON, and behind it the binary values of its inputs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from app.domain.errors import Invalid, Unparsable, pointer
from app.serving.json_body import may_hold_booleans, parse
from app.serving.v2.datatypes import DATATYPES
from app.serving.v2.tensors import Declared, Tensor, from_binary, from_json

LABEL, PROBABILITIES = "label", "probabilities"
OUTPUTS = (LABEL, PROBABILITIES)
MOST_DIMENSIONS, LARGEST_DIMENSION = 2, 2**31 - 1

Json = Mapping[str, object]


class InferRequest(NamedTuple):
    """What is asked: `outputs` by name, with whether each is to be binary; an empty one asks for all of them."""

    id: str | None
    tensors: Sequence[Tensor]
    outputs: Mapping[str, bool]
    binary: bool
    """What holds of outputs that the request does not name."""


def read_request(body: bytes, *, header_length: int | None) -> InferRequest:
    """The request in a body whose first `header_length` bytes, or all, are JSON.

    Raises:
        Unparsable: it is not JSON, or shorter than its header says.
        Invalid: it is no request, with the place of the fault.

    """
    length = len(body) if header_length is None else header_length
    if length > len(body):
        raise Unparsable("The body is shorter than its Inference-Header-Content-Length.")
    head = body if length == len(body) else body[:length]
    document = parse(head)
    if not isinstance(document, dict):
        raise Invalid.at("", "It should be an object.", code="wrong_type")
    binary = _flag(_parameters(document, ""), "binary_data_output", "", False)
    return InferRequest(
        id=_id(document["id"]) if document.get("id") is not None else None,
        tensors=_Inputs(head, memoryview(body)[length:]).read(document.get("inputs")),
        outputs=_outputs(document.get("outputs"), binary),
        binary=binary,
    )


class _Inputs:
    """Takes the binary values in the order of the inputs that have them."""

    def __init__(self, head: bytes, data: memoryview) -> None:
        self._head, self._data = head, data

    def read(self, inputs: object) -> list[Tensor]:
        """All inputs; the bytes behind the last are a fault."""
        if not isinstance(inputs, list) or not inputs:
            raise Invalid.at(
                "/inputs", "Send a list of at least one input.", code="missing" if inputs is None else "wrong_type"
            )
        seen: set[str] = set()
        tensors = [self._input(number, found, seen) for number, found in enumerate(inputs)]
        if self._data:
            raise Invalid.at("/inputs", f"{len(self._data)} bytes belong to no input.", code="wrong_length")
        return tensors

    def _input(self, number: int, found: object, seen: set[str]) -> Tensor:
        place = f"/inputs/{number}"
        document = _object(found, place)
        declared = _declared(number, document, place)
        if declared.name in seen:
            raise Invalid.at(f"{place}/name", "An input has this name already.", code="twice")
        seen.add(declared.name)
        size = _parameters(document, place).get("binary_data_size")
        if size is None:
            return from_json(declared, document.get("data"), booleans=may_hold_booleans(self._head))
        return from_binary(declared, self._take(size, f"{place}/parameters/binary_data_size"))

    def _take(self, size: object, place: str) -> memoryview:
        if type(size) is not int or not 0 <= size <= len(self._data):
            raise Invalid.at(place, f"{len(self._data)} bytes are left in the body.", code="out_of_range")
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def _declared(number: int, document: Json, place: str) -> Declared:
    datatype = _text(document.get("datatype"), f"{place}/datatype")
    if datatype not in DATATYPES:
        raise Invalid.at(f"{place}/datatype", f"It should be one of {', '.join(DATATYPES)}.", code="not_allowed")
    name = _text(document.get("name"), f"{place}/name")
    return Declared(number, name, datatype, _shape(document.get("shape"), f"{place}/shape"))


def _shape(shape: object, place: str) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= LARGEST_DIMENSION for size in shape):
        raise Invalid.at(place, "It should be a list of sizes.", code="missing" if shape is None else "wrong_type")
    if not 1 <= len(shape) <= MOST_DIMENSIONS:
        raise Invalid.at(place, "It should be [rows] or [rows, columns].", code="wrong_length")
    return tuple(shape)


def _outputs(outputs: object, binary: bool) -> dict[str, bool]:
    if outputs is None:
        return {}
    if not isinstance(outputs, list):
        raise Invalid.at("/outputs", "It should be a list.", code="wrong_type")
    return dict(_output(found, pointer("outputs", number), binary) for number, found in enumerate(outputs))


def _output(found: object, place: str, binary: bool) -> tuple[str, bool]:
    document = _object(found, place)
    name = _text(document.get("name"), f"{place}/name")
    if name not in OUTPUTS:
        raise Invalid.at(f"{place}/name", f"It should be one of {', '.join(OUTPUTS)}.", code="not_allowed")
    parameters = _parameters(document, place)
    if parameters.get("classification"):
        raise Invalid.at(
            f"{place}/parameters/classification", "The classification extension is not there.", code="not_supported"
        )
    return name, _flag(parameters, "binary_data", place, binary)


def _parameters(document: Json, place: str) -> Json:
    parameters = document.get("parameters")
    found = {} if parameters is None else _object(parameters, f"{place}/parameters")
    if "shared_memory_region" in found:
        raise Invalid.at(f"{place}/parameters", "The shared memory extension is not there.", code="not_supported")
    return found


def _flag(parameters: Json, name: str, place: str, otherwise: bool) -> bool:
    flag = parameters.get(name, otherwise)
    if not isinstance(flag, bool):
        raise Invalid.at(f"{place}/parameters/{name}", "It should be true or false.", code="wrong_type")
    return flag


def _object(found: object, place: str) -> Json:
    if not isinstance(found, dict):
        raise Invalid.at(place, "It should be an object.", code="wrong_type")
    return cast(Json, found)


def _id(found: object) -> str:
    """A text that the answer can repeat."""
    text = _text(found, "/id")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid.at("/id", "The text holds a character that cannot be kept.", code="bad_format") from None
    return text


def _text(found: object, place: str) -> str:
    if not isinstance(found, str):
        raise Invalid.at(place, "It should be a text.", code="missing" if found is None else "wrong_type")
    return found
