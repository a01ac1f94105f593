from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schema import Kind, StorageType
from app.tabular.recognition import recognize
from app.tabular.refusal import Refused
from tests.tabular.conftest import Ingest


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["true", "FALSE", None, " True"], [True, False, None, True]),
        (["1", "-2", " +3 ", None], [1, -2, 3, None]),
        (["1", "2.5", "1e3", ".5"], [1.0, 2.5, 1000.0, 0.5]),
        (["9223372036854775807", "9223372036854775808"], [2.0**63, 2.0**63]),
        (["1", "inf", "-Infinity"], [1.0, float("inf"), -float("inf")]),
        (["2024-02-29", "2024-03-01"], [datetime(2024, 2, 29), datetime(2024, 3, 1)]),
        (["1", "x"], ["1", "x"]),
        (["true", "1"], ["true", "1"]),
        (["1_000", "0x10"], ["1_000", "0x10"]),
        (["2024-02-30"], ["2024-02-30"]),
        (["2024-2-3"], ["2024-2-3"]),
        ([" a", "a"], [" a", "a"]),
        ([None, None], [None, None]),
    ],
)
def test_all_cells_decide_what_a_column_is(cells: list[str | None], values: list[object]) -> None:
    assert recognize(pl.Series(cells, dtype=pl.String)).to_list() == values


@pytest.mark.parametrize(
    "cell", ["2024-01-02T10:11:12.5+02:00", "2024-01-02 08:11:12.500", "2024-01-02T08:11:12.5Z", "2024-01-02T03:11:12.5-0500"]
)
def test_moments_are_utc(cell: str) -> None:
    assert recognize(pl.Series([cell])).to_list() == [datetime(2024, 1, 2, 8, 11, 12, 500_000)]


def test_a_late_cell_counts_as_much_as_an_early_one(read: Ingest) -> None:
    _, rows = read(b"a,b\n" + b"1,2\n" * 5000 + b"x,2.5\n")

    assert rows.dtypes == [pl.String, pl.Float64]


def test_markers_are_missing_and_a_question_mark_is_not(read: Ingest) -> None:
    found, _ = read(b"a,b\n1,x\n,?\nNA,N/A\nNaN, \nnan,null\nnull,None\nNone,x\n")

    assert [(column.type, column.missing) for column in found.columns] == [(StorageType.INT64, 6), (StorageType.STRING, 4)]
    assert found.columns[1].levels == ["?", "x"]


def test_own_markers_replace_the_usual_ones(read: Ingest) -> None:
    found, _ = read(b"a,b\n1,NA\n?,x\n", missing=["?"])

    assert [column.missing for column in found.columns] == [1, 0]


def test_nan_is_missing_also_where_it_is_no_marker(read: Ingest) -> None:
    found, rows = read(b"a\n1.5\nNaN\n", missing=["?"])

    assert found.columns[0].missing == 1
    assert rows["a"].to_list() == [1.5, None]


def test_a_column_called_categorical_keeps_its_text(read: Ingest) -> None:
    found, _ = read(b"zip\n01234\n98765\n", kinds={"zip": Kind.CATEGORICAL})

    assert (found.columns[0].kind, found.columns[0].type) == (Kind.CATEGORICAL, StorageType.STRING)
    assert found.columns[0].levels == ["01234", "98765"]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Kind.NUMERIC, "Line 3, column 'a': the cell is not a number."),
        (Kind.DATETIME, "Line 2, column 'a': the cell is not an ISO date or time."),
        (Kind.BOOLEAN, "Line 3, column 'a': the cell is not true or false."),
    ],
)
def test_a_cell_that_is_not_of_the_kind_asked_for_is_named(read: Ingest, kind: Kind, sentence: str) -> None:
    content = b"a\n1\nx\n" if kind is not Kind.BOOLEAN else b"a\ntrue\nx\n"

    with pytest.raises(Refused) as refused:
        read(content, kinds={"a": kind})

    assert str(refused.value) == sentence


def test_zero_and_one_can_be_called_boolean(read: Ingest) -> None:
    found, rows = read(b"a\n0\n1\n", kinds={"a": Kind.BOOLEAN})

    assert found.columns[0].type is StorageType.BOOL
    assert rows["a"].to_list() == [False, True]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1))
def test_floats_come_back_to_the_last_bit(values: list[float | None]) -> None:
    cells = pl.Series([None if value is None else repr(value) for value in values], dtype=pl.String)

    read = recognize(cells)

    assert read.cast(pl.Float64).to_list() == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_numbers_come_back_exactly(values: list[int]) -> None:
    assert recognize(pl.Series([str(value) for value in values])).to_list() == values
