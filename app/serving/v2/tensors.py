"""One input of a request: its declaration, and its values as an array or a list, flat."""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from types import NoneType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import Fault, Invalid, pointer
from app.domain.fault_codes import FaultCode
from app.domain.faults import MOST_FAULTS
from app.serving.cells import doubles
from app.serving.sent import Values
from app.serving.v2.datatypes import BYTES, NUMPY, texts_in


class Declared(NamedTuple):
    """An input as its JSON declares it; `number` is its place among the inputs."""

    number: int
    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def place(self) -> str:
        """Where it stands in the request."""
        return f"/inputs/{self.number}"

    @property
    def elements(self) -> int:
        """How many it has."""
        return prod(self.shape)


class Tensor(NamedTuple):
    """An input with its values, [count]; `row_length` is that of a row of nested data, 0 where they are flat or binary."""

    declared: Declared
    values: Values
    in_json: bool
    row_length: int = 0

    def pointer(self, element: int) -> str:
        """Where an element stands; of binary data the input."""
        if not self.in_json:
            return self.declared.place
        at = divmod(element, self.row_length) if self.row_length else (element,)
        return pointer("inputs", self.declared.number, "data", *at)


def from_binary(declared: Declared, data: memoryview) -> Tensor:
    """Its bytes, which stay where they are."""
    if declared.datatype == BYTES:
        return Tensor(declared, texts_in(data, declared.elements, place=declared.place), in_json=False)
    dtype = NUMPY[declared.datatype]
    if len(data) != declared.elements * dtype.itemsize:
        detail = f"The shape of {declared.datatype} takes {declared.elements * dtype.itemsize} bytes; there are {len(data)}."
        raise Invalid.at(declared.place, detail, code="wrong_length")
    found: NDArray[np.generic] = np.frombuffer(data, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(data, dtype)
    return Tensor(declared, found, in_json=False)


def from_json(declared: Declared, data: object, *, booleans: bool) -> Tensor:
    """Its list, flat or in rows."""
    place = pointer("inputs", declared.number, "data")
    if not isinstance(data, list):
        raise Invalid.at(place, "It should be a list.", code="wrong_type")
    row_length = declared.shape[-1] if len(declared.shape) > 1 and data and isinstance(data[0], list) else 0
    if row_length and not all(isinstance(row, list) and len(row) == row_length for row in data):
        raise Invalid.at(place, f"Each of its rows should be a list of {row_length}.", code="wrong_length")
    flat = list(chain.from_iterable(data)) if row_length else data
    if len(flat) != declared.elements:
        raise Invalid.at(place, f"The shape takes {declared.elements} elements; there are {len(flat)}.", code="wrong_length")
    tensor = Tensor(declared, flat, in_json=True, row_length=row_length)
    return tensor._replace(values=_typed(tensor, flat, booleans))


def _typed(tensor: Tensor, flat: list[object], booleans: bool) -> Values:
    """The elements as the datatype has them; where null stands, or what is none of it, a list that is judged cell by cell."""
    datatype = tensor.declared.datatype
    if datatype.startswith("FP"):
        return _floats(flat, NUMPY[datatype], booleans)
    if datatype == BYTES:
        _fault_all(tensor, flat, [type(value) in (str, NoneType) for value in flat], "a text is expected")
        return flat
    if datatype == "BOOL":
        _fault_all(
            tensor, flat, [type(value) in (bool, int) and value in (0, 1) for value in flat], "true or false is expected"
        )
        return np.array(flat, dtype=np.bool_)
    return _integers(tensor, flat)


def _floats(flat: list[object], dtype: np.dtype[np.generic], booleans: bool) -> Values:
    if not booleans:
        try:
            return _rounded(np.frombuffer(doubles(len(flat)).pack(*flat)), dtype)
        except (struct.error, OverflowError):
            pass
    return [_float(value, dtype) for value in flat]


def _float(value: object, dtype: np.dtype[np.generic]) -> object:
    if type(value) not in (int, float):
        return value
    try:
        return _rounded(np.array([value], dtype=np.float64), dtype).item()
    except OverflowError:
        return value


def _rounded(values: NDArray[np.float64], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """As a client would have rounded them; beyond the type is infinite, which is judged later."""
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def _integers(tensor: Tensor, flat: list[object]) -> NDArray[np.generic]:
    dtype = NUMPY[tensor.declared.datatype]
    bounds = np.iinfo(dtype)  # type: ignore[type-var]  # of an integer type
    _fault_all(tensor, flat, [type(value) is int for value in flat], "a whole number is expected")
    whole: Sequence[int] = flat  # type: ignore[assignment]  # it is
    inside = [bounds.min <= value <= bounds.max for value in whole]
    _fault_all(tensor, flat, inside, f"it is beyond {tensor.declared.datatype}", code="out_of_range")
    return np.array(whole, dtype=dtype)


def _fault_all(tensor: Tensor, flat: list[object], right: Iterable[bool], what: str, *, code: FaultCode = "wrong_type") -> None:
    wrong = [element for element, is_right in enumerate(right) if not is_right][:MOST_FAULTS]
    if wrong:
        raise Invalid([Fault(tensor.pointer(element), code, f"Element {element}: {what}.") for element in wrong])
