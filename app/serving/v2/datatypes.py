"""The protocol's datatypes, and the arrays that have them."""

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import Invalid

BYTES = "BYTES"
NUMPY: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
DATATYPES = (*NUMPY, BYTES)
_NAMES = {dtype: name for name, dtype in NUMPY.items()}
_OF_ONNX = {"bool": "BOOL", "int64": "INT64", "float": "FP32", "double": "FP64", "string": BYTES}
_LENGTH = struct.Struct("<I")


def datatype_of(values: NDArray[np.generic]) -> str:
    """Of an answer's array; texts are objects."""
    return _NAMES.get(values.dtype, BYTES)


def datatype_of_onnx(type: str) -> str:
    """Of `tensor(float)` and the like."""
    return _OF_ONNX[type.removeprefix("tensor(").removesuffix(")")]


def texts_in(data: memoryview, count: int, *, place: str) -> list[object]:
    """So many elements of BYTES: each its length, then UTF-8."""
    texts: list[object] = []
    start = 0
    for _ in range(count):
        text, start = _text_at(data, start, place)
        texts.append(text)
    if start != len(data):
        raise _wrong_length(place)
    return texts


def _text_at(data: memoryview, start: int, place: str) -> tuple[str, int]:
    """The text, and where the next one begins."""
    begin = start + _LENGTH.size
    if begin > len(data):
        raise _wrong_length(place)
    end = begin + _LENGTH.unpack_from(data, start)[0]
    if end > len(data):
        raise _wrong_length(place)
    try:
        return str(data[begin:end], "utf-8"), end
    except UnicodeDecodeError:
        raise Invalid.at(place, f"The text at byte {begin} is not UTF-8.", code="bad_format") from None


def bytes_of(texts: Iterable[str]) -> bytes:
    """Texts as elements of BYTES."""
    encoded = (text.encode() for text in texts)
    return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))


def _wrong_length(place: str) -> Invalid:
    return Invalid.at(place, "The binary data are not as many elements as the shape says.", code="wrong_length")
