"""A Parquet file in parts: row groups that were written apart, and the footer that makes one file of them.

The parts one after the other, and then `footer` of their outlines, are the file. Pages and statistics stay as they were
written; of the footers only the offsets change (https://parquet.apache.org/docs/file-format/metadata).
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from app.tabular.thrift import I64, LIST, STRUCT, Field, Struct, read_struct, written

MAGIC = b"PAR1"
_LENGTH = 4
_TAIL = _LENGTH + len(MAGIC)

# Fields of the footer (FileMetaData), of a row group, of a column's chunk, and of what it says of itself.
_ROWS, _GROUPS = 3, 4
_CHUNKS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_META, _CHUNK_OFFSETS = 3, frozenset({2, 4, 6})
_PAGE_OFFSETS = frozenset({9, 10, 11, 14})


@dataclass(frozen=True)
class Part:
    """Bytes of the file, and the outline of what is in them."""

    content: bytes
    outline: bytes


def write_part(frame: pl.DataFrame, *, first: bool) -> Part:
    """The rows as one row group; the first part also has the file's beginning."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, row_group_size=max(1, len(frame)))
    data = buffer.getvalue()
    end = len(data) - _TAIL - int.from_bytes(data[-_TAIL : -len(MAGIC)], "little")
    return Part(data[0 if first else len(MAGIC) : end], data[end:-_TAIL])


def footer(parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The end of a file of parts, each with its outline and the number of its bytes, in their order; at least one."""
    merged: Struct | None = None
    groups: list[bytes] = []
    rows = before = 0
    for outline, size in parts:
        found = read_struct(io.BytesIO(outline))
        # Each was written as if it began behind the first four bytes of a file; the first part does.
        shift = before - len(MAGIC) if before else 0
        groups += [written(_moved_group(group, shift)) for group in _value(found, _GROUPS)[1]]
        rows += _value(found, _ROWS)
        before += size
        merged = merged or found
    assert merged is not None
    text = written(_with(merged, {_ROWS: rows, _GROUPS: (STRUCT, groups)}))
    return text + len(text).to_bytes(_LENGTH, "little") + MAGIC


def _value(fields: Struct, number: int) -> Any:
    return next(value for found, _, value in fields if found == number)


def _with(fields: Struct, values: dict[int, object]) -> Struct:
    return [(number, type, values.get(number, value)) for number, type, value in fields]


def _moved_group(group: Struct, shift: int) -> Struct:
    """Its place among the groups is left out: that is a number of 16 bits, and there may be more of them."""
    return [_moved_in_group(field, shift) for field in group if field[0] != _ORDINAL]


def _moved_in_group(field: Field, shift: int) -> Field:
    number, _, value = field
    if number == _CHUNKS:
        return number, LIST, (value[0], [[_moved_in_chunk(one, shift) for one in chunk] for chunk in value[1]])
    return (number, I64, value + shift) if number == _GROUP_OFFSET else field


def _moved_in_chunk(field: Field, shift: int) -> Field:
    number, type, value = field
    if number == _META:
        return number, type, [(at, kind, one + shift if at in _PAGE_OFFSETS else one) for at, kind, one in value]
    return (number, type, value + shift) if number in _CHUNK_OFFSETS and value else field
