import io
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime

import polars as pl
import pytest

from app.tabular.limits import Limits
from app.tabular.refusal import Refused
from tests.tabular.conftest import Ingest

Write = Callable[..., bytes]
UNREADABLE = "This is not a readable Arrow file or stream."
FRAME = pl.DataFrame(
    {
        "small": pl.Series([1, None, 3], dtype=pl.UInt8),
        "single": pl.Series([0.5, float("nan"), None], dtype=pl.Float32),
        "truth": [True, None, False],
        "words": ["1", "true", None],
        "category": pl.Series(["x", "y", None], dtype=pl.Categorical),
        "day": [date(2024, 1, 5), None, None],
        "moment": [datetime(2024, 1, 5, 1, tzinfo=UTC), None, None],
    }
)


def a_file(frame: pl.DataFrame, **options: object) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc(buffer, **options)  # type: ignore[call-overload]
    return buffer.getvalue()


def a_stream(frame: pl.DataFrame, **options: object) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, **options)  # type: ignore[call-overload]
    return buffer.getvalue()


def claiming(rows: int, *, write: Write) -> bytes:
    """A file of three rows whose metadata tell of another number."""
    return write(pl.DataFrame({"a": [9, 9, 9]})).replace(struct.pack("<q", 3), struct.pack("<q", rows))


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
@pytest.mark.parametrize("write", [a_file, a_stream])
def test_files_and_streams_are_read_whatever_their_compression(read: Ingest, write: Write, compression: str) -> None:
    found, rows = read(write(FRAME, compression=compression), format="arrow")

    assert [column.type.value for column in found.columns] == (
        ["int64", "float64", "bool", "string", "string", "datetime", "datetime"]
    )
    assert [column.missing for column in found.columns] == [1, 2, 1, 1, 1, 2, 2]
    assert rows.row(0) == (1, 0.5, True, "1", "x", datetime(2024, 1, 5), datetime(2024, 1, 5, 1))


def test_several_batches_are_one_table(read: Ingest) -> None:
    frame = pl.concat([pl.DataFrame({"a": [number]}) for number in range(5)], rechunk=False)

    _, rows = read(a_stream(frame), format="arrow")

    assert rows["a"].to_list() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", UNREADABLE),
        (b"a,b\n1,2\n", UNREADABLE),
        (b"ARROW1\0\0 and nonsense ARROW1", UNREADABLE),
        (a_file(FRAME)[:-20], UNREADABLE),
        (a_stream(FRAME)[:-300], UNREADABLE),
        (claiming(2**62, write=a_file), "There are more than 3 cells (rows times columns)."),
        (claiming(2**62, write=a_stream), "There are more than 3 cells (rows times columns)."),
        (claiming(-1, write=a_file), UNREADABLE),
        (claiming(-1, write=a_stream), UNREADABLE),
        (a_file(FRAME.clear()), "The file has no rows."),
        (a_stream(pl.DataFrame()), "There are no columns."),
        (
            a_stream(pl.DataFrame({"ab": [1], "aa": [1]})).replace(b"ab\0", b"aa\0"),
            "Column 'aa': this column name stands more than once.",
        ),
        (a_file(pl.DataFrame({"": [1]})), "Column 1 has no name."),
        (a_file(pl.DataFrame({"a": [1], "b": [[1]]})), "Column 'b': the type LargeList is not supported."),
        (a_stream(pl.DataFrame({"a": [b"x"]})), "Column 'a': the type BinaryView is not supported."),
        (a_file(pl.DataFrame({"a": [1, 2], "b": [1, 2]})), "There are more than 3 cells (rows times columns)."),
        (a_stream(pl.DataFrame({"a": [1, 2], "b": [1, 2]})), "There are more than 3 cells (rows times columns)."),
        (a_stream(pl.DataFrame({"a": ["", "x\0"]})), "Row 1, column 'a': there is a NUL in the cell."),
        (a_stream(pl.DataFrame({"a\0": [1]})), "The name of column 1 has a NUL."),
        (a_file(pl.DataFrame({"a": ["x" * 30]})), "Row 0, column 'a': the cell has more than 20 bytes."),
        (a_file(pl.DataFrame({"a": ["x" * 999]})), "The columns of the file unpack to more than 200 bytes."),
        (
            a_file(pl.DataFrame({"a": ["x" * 999]}), compression="zstd"),
            "The columns of the file unpack to more than 200 bytes.",
        ),
    ],
)
def test_a_fault_is_named(read: Ingest, content: bytes, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content, format="arrow", limits=Limits(cells=3, cell_bytes=20, inflated_bytes=200))

    assert str(refused.value) == sentence


@pytest.mark.parametrize("write", [a_file, a_stream])
def test_a_file_with_any_byte_damaged_is_read_or_refused(read: Ingest, write: Write) -> None:
    good, chosen = write(FRAME.head(2), compression="lz4"), random.Random(7)
    for _ in range(150):
        bad = bytearray(good)
        bad[chosen.randrange(len(bad))] ^= 1 << chosen.randrange(8)
        with suppress(Refused):
            read(bytes(bad), format="arrow")
