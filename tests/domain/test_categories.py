"""Whether a column of any type can be read as the categories of another one."""

import pytest

from app.domain.categories import category_flaw, category_text
from app.domain.schema import Column, Kind, Level, StorageType

BOOL, INT, FLOAT, STRING = StorageType.BOOL, StorageType.INT64, StorageType.FLOAT64, StorageType.STRING
KINDS = {BOOL: Kind.BOOLEAN, STRING: Kind.CATEGORICAL, StorageType.DATETIME: Kind.DATETIME}


def column(type: StorageType, levels: list[Level] | None, *, integral: bool = True) -> Column:
    kind = KINDS.get(type, Kind.NUMERIC)
    return Column(name="b", kind=kind, type=type, missing=0, distinct=2, levels=levels, integral=integral)


@pytest.mark.parametrize(
    ("value", "type", "text"),
    [(1, BOOL, "true"), (0.0, BOOL, "false"), (2, BOOL, "2"), (True, INT, "true"), (1, INT, "1"), (2.0, FLOAT, "2")],
)
def test_where_a_column_held_truth_values_one_and_zero_are_truth_values(value: Level, type: StorageType, text: str) -> None:
    assert category_text(value, type) == text


@pytest.mark.parametrize(
    ("type", "levels", "theirs"),
    [
        (BOOL, ["false", "true"], column(BOOL, [False, True])),
        (BOOL, ["false", "true"], column(INT, [0, 1])),
        (BOOL, ["false", "true"], column(STRING, ["False", "True"])),
        (INT, ["1", "12"], column(INT, [1, 3])),
        (INT, ["1", "12"], column(FLOAT, [1.0, 12.0])),
        (INT, ["1", "12"], column(STRING, ["1", "x"])),
        (STRING, ["false", "true", "unknown"], column(BOOL, [False, True])),
        (STRING, ["1", "2", "x"], column(INT, [1, 3])),
        (STRING, ["1", "2", "x"], column(INT, None)),
        (STRING, ["1", "2", "x"], column(FLOAT, [1.0, 3.0])),
        (STRING, ["01", "x"], column(INT, [2, 3])),
        (STRING, ["1.0", "x"], column(INT, [1, 2])),
        (STRING, ["True", "x"], column(STRING, ["true"])),
        (STRING, ["9" * 5000, "nan", "x"], column(INT, [1, 2])),
    ],
)
def test_what_is_spelt_as_it_was_or_cannot_have_been_a_category_is_read(
    type: StorageType, levels: list[str], theirs: Column
) -> None:
    assert category_flaw(type, levels, theirs) is None


@pytest.mark.parametrize(
    ("levels", "theirs", "told"),
    [
        (["False", "True", "unknown"], column(BOOL, [False, True]), "is of type bool, where the job's category 'False'"),
        (["01", "02", "A1"], column(INT, [1, 2]), "is of type int64, where the job's category '01'"),
        (["01", "1", "A1"], column(INT, [1]), "is of type int64, where the job's category '01'"),
        ([" 7", "x"], column(INT, None), "is of type int64, where the job's category ' 7'"),
        (["1.0", "2.0", "x"], column(FLOAT, [1.0, 2.0]), "is of type float64, where the job's category '1.0'"),
        (["1.5", "x"], column(FLOAT, None, integral=False), "is numeric; the job reads it as categorical"),
        (["2024-01-01", "never"], column(StorageType.DATETIME, None), "is datetime; the job reads it as categorical"),
    ],
)
def test_a_spelling_that_is_lost_is_a_flaw_with_its_cure(levels: list[str], theirs: Column, told: str) -> None:
    flaw = category_flaw(STRING, levels, theirs)

    assert flaw is not None
    assert flaw.startswith(told)
    assert 'upload it with the schema {"b": "categorical"}' in flaw


@pytest.mark.parametrize("type", [INT, FLOAT])
def test_truth_values_are_no_categories_of_numbers(type: StorageType) -> None:
    flaw = category_flaw(type, ["0", "1"], column(BOOL, [False, True]))

    assert flaw == "is boolean; the job reads it as categorical, with whole numbers as its levels."
