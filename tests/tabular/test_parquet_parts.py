"""Row groups that were written apart are one Parquet file."""

import io
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from app.tabular.parquet_parts import footer, write_part
from app.tabular.thrift import read_struct, written

LABELS = ["low", "high", "ünusual", None, ""]


def frame(rows: int) -> pl.DataFrame:
    """Columns of every type that a prediction may have, with what is missing and what is no number."""
    numbers = range(rows)
    return pl.DataFrame(
        {
            "prediction": [LABELS[number % 5] for number in numbers],
            "number": [(0.1 * number, float("nan"), None, float("-inf"))[number % 4] for number in numbers],
            "whole": pl.Series([number * 10**14 for number in numbers], dtype=pl.Int64),
            "flag": [number % 3 == 0 for number in numbers],
            "probability_low": pl.Series([number / 7 for number in numbers], dtype=pl.Float32),
        }
    )


def joined(frames: Sequence[pl.DataFrame]) -> bytes:
    parts = [write_part(part, first=not number) for number, part in enumerate(frames)]
    return b"".join(part.content for part in parts) + footer((part.outline, len(part.content)) for part in parts)


@pytest.mark.parametrize("sizes", [[1], [7], [100, 100, 3], [1] * 40, [70_000, 5]])
def test_the_parts_are_one_file_of_all_rows_in_their_order(sizes: list[int]) -> None:
    whole = frame(sum(sizes))
    starts = [sum(sizes[:number]) for number in range(len(sizes))]

    data = joined([whole.slice(start, size) for start, size in zip(starts, sizes, strict=True)])

    assert_frame_equal(pl.read_parquet(io.BytesIO(data)), whole)
    assert pl.scan_parquet(io.BytesIO(data)).filter(pl.col("whole") == 0).collect().height == 1
    assert pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item() == sum(sizes)


def test_the_same_rows_are_the_same_bytes() -> None:
    frames = [frame(50), frame(20)]

    assert joined(frames) == joined(frames)


def test_a_file_of_many_columns_keeps_the_statistics_of_its_groups() -> None:
    wide = pl.DataFrame({f"probability_{number}": [0.5, 0.25] for number in range(300)})

    data = joined([wide, wide + 1])

    assert pl.scan_parquet(io.BytesIO(data)).filter(pl.col("probability_7") > 1.3).collect().height == 1


Fields = st.recursive(
    st.one_of(
        st.tuples(st.just(6), st.integers(-(2**63), 2**63 - 1)),
        st.tuples(st.just(8), st.binary(max_size=300)),
        st.tuples(st.just(7), st.binary(min_size=8, max_size=8)),
        st.tuples(st.just(1), st.just(True)),
        st.tuples(st.just(2), st.just(False)),
    ),
    lambda inner: st.one_of(
        st.tuples(st.just(12), st.lists(inner, max_size=16).map(lambda drawn: [(n + 1, *one) for n, one in enumerate(drawn)])),
        st.tuples(st.just(9), st.lists(st.integers(-5, 2**40), max_size=40).map(lambda drawn: (6, drawn))),
    ),
)


@settings(max_examples=40)
@given(st.dictionaries(st.integers(1, 2**15 - 1), Fields, max_size=6))
def test_whatever_is_written_compactly_is_read_as_it_was(drawn: dict[int, tuple[int, object]]) -> None:
    fields = [(number, type, value) for number, (type, value) in sorted(drawn.items())]
    data = written([(1, 12, fields), (2, 9, (12, [fields, written(fields)]))])

    assert read_struct(io.BytesIO(data)) == [(1, 12, fields), (2, 9, (12, [fields, fields]))]
