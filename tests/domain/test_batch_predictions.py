"""How rows are cut into parts, and what is told of warnings."""

import hashlib

import pytest

from app.domain.batch_prediction import part_rows, step_rows
from app.domain.batch_warnings import MOST_COLUMNS, Kind, added_up, detail_of
from app.domain.blobs import batch_part_key


@pytest.mark.parametrize(
    ("columns", "layers", "rows"),
    [
        (4, [4, 10, 3], 50_000),
        (100, [100, 8, 1], 10_485),
        (10, [10, 8, 1000], 1_048),
        (10_000, [10_000, 8, 1], 1_024),
        (4, [4, 5_000, 5_000, 1], 1_373),
        (4, [4, 300_000, 300_000, 1], 1),
    ],
)
def test_a_part_has_as_many_rows_as_memory_and_some_seconds_allow(columns: int, layers: list[int], rows: int) -> None:
    assert part_rows(columns=columns, layers=layers, most=50_000) == rows


@pytest.mark.parametrize(
    ("columns", "layers", "rows"), [(4, [4, 10, 3], 1024), (10_000, [10_000, 8, 1], 13), (4, [4, 7_000, 7_000, 1], 87)]
)
def test_few_rows_are_run_together_so_that_a_cancel_is_seen(columns: int, layers: list[int], rows: int) -> None:
    assert step_rows(columns=columns, layers=layers, most=1024) == rows


def test_warnings_add_up_in_the_order_in_which_they_came() -> None:
    first = added_up([], {Kind("missing_value", "b"): 2, Kind("missing_value", "a"): 1})

    assert added_up(first, {Kind("missing_value", "a"): 4, Kind("unseen_category", "b"): 1}) == [
        {"code": "missing_value", "column": "b", "count": 2},
        {"code": "missing_value", "column": "a", "count": 5},
        {"code": "unseen_category", "column": "b", "count": 1},
    ]


def test_of_very_many_columns_the_first_are_counted_by_name_and_the_others_together() -> None:
    counted = added_up([], {Kind("missing_value", f"x{number}"): 1 for number in range(MOST_COLUMNS + 50)})
    again = added_up(counted, {Kind("missing_value", "x0"): 1, Kind("missing_value", "y"): 1})

    assert len(again) == MOST_COLUMNS + 1
    assert (again[0]["count"], again[-1]) == (2, {"code": "missing_value", "column": None, "count": 51})


def test_a_warning_says_of_which_values_it_is() -> None:
    assert detail_of(Kind("missing_value", "a")) == "Values of column 'a' are missing; they were imputed as in training."
    assert detail_of(Kind("missing_value", None)).startswith("Values of further columns are missing")
    assert detail_of(Kind("of a later version", "a")) == "Warnings of column 'a'."


def test_what_two_processes_predict_of_the_same_rows_has_files_of_its_own() -> None:
    keys = {batch_part_key("bp_1", 7, hashlib.sha256(data).hexdigest()) for data in (b"one", b"the other")}

    assert len(keys) == 2
