"""Thrift's compact encoding, of whatever is in it: read into plain values, and written again (the spec is the protocol's own).

A struct is a list of fields (number, type, value); a list is (type of its values, values). A double stays its eight bytes.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_WHOLE = frozenset({I16, I32, I64})
_BOOL = frozenset({TRUE, FALSE})
_LONG = _NEAR = 15
"""A list of so many values or more tells their number apart, as does a field that is further from the one before."""

Field = tuple[int, int, Any]
Struct = list[Field]


def read_struct(data: BytesIO) -> Struct:
    """The struct that begins here."""
    fields: Struct = []
    number = 0
    while head := data.read(1)[0]:
        type, step = head & 15, head >> 4
        number = number + step if step else _read_whole(data)
        fields.append((number, type, type == TRUE if type in _BOOL else _read(data, type)))
    return fields


def written(fields: Sequence[Field]) -> bytes:
    """A struct by itself, which may stand for its fields wherever a struct is written."""
    out = BytesIO()
    write_struct(out, fields)
    return out.getvalue()


def write_struct(out: BytesIO, fields: Sequence[Field]) -> None:
    """The same bytes that these fields were read from, where they were written as compactly."""
    before = 0
    for number, type, value in fields:
        step, before = number - before, number
        if 0 < step <= _NEAR:
            out.write(bytes([step << 4 | type]))
        else:
            out.write(bytes([type]))
            _write_whole(out, number)
        if type not in _BOOL:
            _write(out, type, value)
    out.write(b"\0")


def _read(data: BytesIO, type: int) -> Any:
    if type in _WHOLE:
        return _read_whole(data)
    if type == BINARY:
        return data.read(_read_length(data))
    if type in (LIST, SET):
        return _read_list(data)
    if type == STRUCT:
        return read_struct(data)
    if type in (BYTE, DOUBLE):
        return data.read(1 if type == BYTE else 8)
    raise ValueError(f"type {type} in a compact struct")


def _write(out: BytesIO, type: int, value: Any) -> None:
    if type in _WHOLE:
        _write_whole(out, value)
    elif type == BINARY:
        _write_length(out, len(value))
        out.write(value)
    elif type in (LIST, SET):
        _write_list(out, *value)
    elif type == STRUCT and isinstance(value, bytes):
        out.write(value)  # written before: of many structs the bytes take a tenth of the memory
    elif type == STRUCT:
        write_struct(out, value)
    else:
        out.write(value)


def _read_list(data: BytesIO) -> tuple[int, list[Any]]:
    head = data.read(1)[0]
    type, count = head & 15, head >> 4
    count = _read_length(data) if count == _LONG else count
    return type, [data.read(1) if type in _BOOL else _read(data, type) for _ in range(count)]


def _write_list(out: BytesIO, type: int, values: Sequence[Any]) -> None:
    out.write(bytes([min(len(values), _LONG) << 4 | type]))
    if len(values) >= _LONG:
        _write_length(out, len(values))
    for value in values:
        _write(out, BYTE if type in _BOOL else type, value)


def _read_length(data: BytesIO) -> int:
    """Seven bits a byte, the lowest first."""
    number = shift = 0
    while (byte := data.read(1)[0]) & 128:
        number |= (byte & 127) << shift
        shift += 7
    return number | byte << shift


def _write_length(out: BytesIO, number: int) -> None:
    while number > 127:
        out.write(bytes([number & 127 | 128]))
        number >>= 7
    out.write(bytes([number]))


def _read_whole(data: BytesIO) -> int:
    """Signs are folded in: 0, -1, 1, -2 are 0, 1, 2, 3."""
    number = _read_length(data)
    return number >> 1 ^ -(number & 1)


def _write_whole(out: BytesIO, number: int) -> None:
    _write_length(out, number << 1 if number >= 0 else (-number << 1) - 1)
