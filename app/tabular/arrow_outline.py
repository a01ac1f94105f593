"""What an Arrow file or stream says of itself, read from its messages without touching a cell.

The layout: https://arrow.apache.org/docs/format/Columnar.html. Whatever is damaged raises ValueError, IndexError or
struct.error.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from app.tabular.flatbuffer import Flat

MAGIC = b"ARROW1"
DAMAGED = (ValueError, IndexError, struct.error)
CONTINUATION = -1
_TAIL = 4 + len(MAGIC)
_SCHEMA, _BATCH = 1, 3
_TYPES = (
    *("None", "Null", "Int", "FloatingPoint", "Binary", "Utf8", "Bool", "Decimal", "Date", "Time", "Timestamp", "Interval"),
    *(
        "List",
        "Struct",
        "Union",
        "FixedSizeBinary",
        "FixedSizeList",
        "Map",
        "Duration",
        "LargeBinary",
        "LargeUtf8",
        "LargeList",
    ),
    *("RunEndEncoded", "BinaryView", "Utf8View", "ListView", "LargeListView"),
)

Message = tuple[Flat, memoryview]


@dataclass(frozen=True)
class Outline:
    """Names and types of the columns in their order, how many rows there are, and the bytes that all buffers unpack to."""

    columns: list[tuple[str, str]]
    rows: int
    bytes: int


def outline(data: memoryview) -> Outline:
    """Of a file or a stream; what its messages claim is checked against the bytes that are there."""
    schema, messages = _file(data) if data[: len(MAGIC)] == MAGIC else _stream(data)
    rows, unpacked = 0, 0
    for message, body in messages:
        batch = message.table(2)
        if batch is None:
            raise ValueError(message)
        if message.number(1, "<B") == _BATCH:
            rows += _at_least_none(batch.number(0, "<q"))
        else:
            batch = batch.table(1) or batch
        unpacked += _unpacked(batch, body)
    return Outline(_columns(schema), rows, unpacked)


def _file(data: memoryview) -> tuple[Flat, Iterator[Message]]:
    """The schema and the messages that the footer names: dictionaries, then batches."""
    (length,) = struct.unpack_from("<i", data, len(data) - _TAIL)
    footer = Flat.root(data[len(data) - _TAIL - _at_least_none(length) : len(data) - _TAIL])
    blocks = [block for field in (2, 3) for block in footer.records(field, "<qiiq")]
    return _there(footer.table(1)), (_message(data, _at_least_none(place))[:2] for place, _, _, _ in blocks)


def _stream(data: memoryview) -> tuple[Flat, Iterator[Message]]:
    """The schema, which comes first, and all messages up to the end."""
    messages = _messages(data)
    first = next(messages, None)
    if first is None or first[0].number(1, "<B") != _SCHEMA:
        raise ValueError(first)
    return _there(first[0].table(2)), messages


def _messages(data: memoryview) -> Iterator[Message]:
    place = 0
    while place + 4 <= len(data):
        if not _size(data, place)[0]:
            return
        message, body, place = _message(data, place)
        yield message, body


def _message(data: memoryview, place: int) -> tuple[Flat, memoryview, int]:
    """A message, the bytes that belong to it, and where the next one stands."""
    size, start = _size(data, place)
    end = start + size
    message = Flat.root(data[start:end])
    length = _at_least_none(message.number(3, "<q"))
    if end + length > len(data):
        raise ValueError(length)
    return message, data[end : end + length], end + length


def _size(data: memoryview, place: int) -> tuple[int, int]:
    """Of a message's own bytes, and where they begin; older writers left the continuation mark out."""
    (size,) = struct.unpack_from("<i", data, place)
    if size != CONTINUATION:
        return _at_least_none(size), place + 4
    (size,) = struct.unpack_from("<i", data, place + 4)
    return _at_least_none(size), place + 8


def _columns(schema: Flat) -> list[tuple[str, str]]:
    if schema.number(0, "<h"):
        raise ValueError("big-endian")
    return [(field.text(0), _TYPES[field.number(2, "<B")]) for field in schema.tables(1)]


def _unpacked(batch: Flat, body: memoryview) -> int:
    """Bytes of all buffers of a batch."""
    compressed = batch.table(3) is not None
    return sum(_buffer(body, offset, length, compressed) for offset, length in batch.records(2, "<qq") if length)


def _buffer(body: memoryview, offset: int, length: int, compressed: bool) -> int:
    """Bytes of a buffer; a compressed one begins with their number, or -1 where it is stored as it is."""
    if offset < 0 or length < 0 or offset + length > len(body):
        raise ValueError(offset)
    declared = struct.unpack_from("<q", body, offset)[0] if compressed else CONTINUATION
    return length if declared == CONTINUATION else _at_least_none(declared)


def _at_least_none(number: int) -> int:
    """The number; ValueError where it is negative."""
    if number < 0:
        raise ValueError(number)
    return number


def _there(table: Flat | None) -> Flat:
    if table is None:
        raise ValueError(table)
    return table
