"""An inference request as rows of a model: one tensor of all features, or an input for each column."""

from collections.abc import Sequence

import numpy as np

from app.domain.errors import Invalid, pointer
from app.serving.features import Features
from app.serving.json_body import SMALL
from app.serving.sent import BOTH, PREDICTIONS, PROBABILITIES, Asked, Sent, SentArrays, SentBlock, Values, Wanted
from app.serving.v2.request import LABEL, InferRequest, read_request
from app.serving.v2.tensors import Tensor

FEATURES = "features"
# Binary values are taken as they are, so only their number counts.
SMALL_BINARY = 2 * SMALL


class InferSource:
    """The body of a request; what it asked for is known once it was read."""

    request: InferRequest

    def __init__(self, body: bytes, *, header_length: int | None) -> None:
        self._body, self._header_length = body, header_length

    @property
    def is_small(self) -> bool:
        """Whether reading it is not worth a thread."""
        return len(self._body) <= (SMALL if self._header_length is None else SMALL_BINARY)

    def read(self, features: Features) -> Asked:
        """What is asked of such a model."""
        self.request = read_request(self._body, header_length=self._header_length)
        wanted = _wanted(self.request, has_probabilities=features.has_probabilities)
        return Asked(_sent(self.request.tensors, features), wanted)


def _wanted(request: InferRequest, *, has_probabilities: bool) -> Wanted:
    if not request.outputs:
        return BOTH
    if PROBABILITIES in request.outputs and not has_probabilities:
        number = list(request.outputs).index(PROBABILITIES)
        raise Invalid.at(pointer("outputs", number, "name"), "A regression has no probabilities.", code="not_allowed")
    return frozenset(PREDICTIONS if name == LABEL else name for name in request.outputs)


def _sent(tensors: Sequence[Tensor], features: Features) -> Sent:
    """An input that has the name of a column is that column, also where the model would take `features`."""
    if features.known.isdisjoint([tensor.declared.name for tensor in tensors]):
        if features.is_numeric and len(tensors) == 1 and tensors[0].declared.name == FEATURES:
            return _block(tensors[0], len(features.names))
        first = f"`{FEATURES}`, or an input for each column" if features.is_numeric else "an input for each column"
        raise Invalid.at("/inputs/0/name", f"The model takes {first}.", code="not_allowed")
    rows = tensors[0].declared.shape[0]
    by_name = {tensor.declared.name: tensor for tensor in tensors}

    def place(column: str, row: int) -> str:
        return by_name[column].pointer(row)

    return SentArrays(rows, {name: _column(tensor, rows) for name, tensor in by_name.items()}, place, "/inputs")


def _block(tensor: Tensor, width: int) -> SentBlock:
    shape = tensor.declared.shape
    if len(shape) != 2 or shape[1] != width:
        raise Invalid.at(f"{tensor.declared.place}/shape", f"It should be [rows, {width}].", code="wrong_length")

    def place(row: int, feature: int) -> str:
        return tensor.pointer(row * width + feature)

    values = tensor.values
    if isinstance(values, list):
        listed, values = values, np.empty(len(values), dtype=np.object_)
        values[:] = listed
    return SentBlock(values.reshape(shape), place, tensor.declared.place)


def _column(tensor: Tensor, rows: int) -> Values:
    shape = tensor.declared.shape
    if shape not in ((rows,), (rows, 1)):
        raise Invalid.at(
            f"{tensor.declared.place}/shape", f"It should be [{rows}, 1], as of the first input.", code="wrong_length"
        )
    return tensor.values
