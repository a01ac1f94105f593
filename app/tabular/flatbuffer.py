"""Reading a flatbuffer, in which Arrow writes all that is not cells: tables whose fields are found by their number.

The layout: https://flatbuffers.dev/internals. Whatever is damaged raises ValueError, IndexError or struct.error.
"""

import struct
from collections.abc import Iterator
from typing import Self


class Flat:
    """A table of a flatbuffer."""

    def __init__(self, data: memoryview, place: int) -> None:
        self._data, self._place = data, place
        self._offsets = place - self._number("<i", place)

    @classmethod
    def root(cls, data: memoryview) -> Self:
        """The outermost one."""
        (place,) = struct.unpack_from("<I", data)
        return cls(data, place)

    def number(self, field: int, form: str) -> int:
        """A field that holds a number; 0 where it is left out."""
        place = self._find(field)
        return self._number(form, place) if place else 0

    def table(self, field: int) -> Self | None:
        """A field that holds a table."""
        place = self._find(field)
        return type(self)(self._data, place + self._number("<I", place)) if place else None

    def text(self, field: int) -> str:
        """A field that holds a string."""
        start, length = self._vector(field)
        return bytes(self._data[start : start + length]).decode()

    def tables(self, field: int) -> Iterator[Self]:
        """A field that holds a list of tables."""
        start, length = self._vector(field)
        for place in range(start, start + 4 * length, 4):
            yield type(self)(self._data, place + self._number("<I", place))

    def records(self, field: int, form: str) -> Iterator[tuple[int, ...]]:
        """A field that holds a list of records of numbers, laid out as in the struct module."""
        start, length = self._vector(field)
        return struct.iter_unpack(form, self._data[start : start + struct.calcsize(form) * length])

    def _vector(self, field: int) -> tuple[int, int]:
        place = self._find(field)
        start = place + self._number("<I", place) if place else 0
        return (start + 4, self._number("<I", start)) if place else (0, 0)

    def _find(self, field: int) -> int:
        """Where a field stands; 0 where it is left out."""
        entry = 4 + 2 * field
        if entry >= self._number("<H", self._offsets):
            return 0
        offset = self._number("<H", self._offsets + entry)
        return self._place + offset if offset else 0

    def _number(self, form: str, place: int) -> int:
        if place < 0:
            raise ValueError(place)
        number: int = struct.unpack_from(form, self._data, place)[0]
        return number
