"""Which part each bundle of rows goes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bundles import TEST, TRAIN, VALIDATION, Bundles, deal, rows_of_parts
from app.domain.errors import Invalid
from app.domain.sizes import Sizes, held_out
from app.domain.spec import Split

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=25)
FRACTIONS = st.sampled_from([0.0, 0.1, 0.2, 0.33])


def _split(method: str, *, validation: float = 0.2, test: float = 0.0) -> Split:
    return Split.model_validate({"method": method, "column": "by", "validation": validation, "test": test})


def _refusal(split: Split, bundles: Bundles) -> tuple[str, str]:
    with pytest.raises(Invalid) as invalid:
        deal(split, bundles)
    [fault] = invalid.value.faults
    return fault.pointer, fault.detail


@given(method=st.sampled_from(["time", "group"]), counts=COUNTS, validation=FRACTIONS, test=FRACTIONS)
def test_every_part_that_was_asked_for_gets_rows_and_so_does_training(
    method: str, counts: list[int], validation: float, test: float
) -> None:
    split = _split(method, validation=validation, test=test)
    parts_asked = 1 + (validation > 0) + (test > 0)
    try:
        parts = deal(split, Bundles(counts))
    except Invalid:
        assert len(counts) < parts_asked or sum(counts) <= sum(_wanted(counts, validation, test))
        return

    sizes = rows_of_parts(parts, counts)
    assert len(parts) == len(counts)
    assert sizes.train + sizes.validation + sizes.test == sum(counts)
    assert (sizes.train > 0, sizes.validation > 0, sizes.test > 0) == (True, validation > 0, test > 0)


def _wanted(counts: list[int], validation: float, test: float) -> tuple[int, int]:
    """What the fractions ask for, at least one row each."""
    return tuple(max(1, round(sum(counts) * fraction)) if fraction else 0 for fraction in (validation, test))  # type: ignore[return-value]


@given(counts=COUNTS, validation=FRACTIONS, test=FRACTIONS)
def test_no_time_of_a_later_part_is_before_one_of_an_earlier_part(counts: list[int], validation: float, test: float) -> None:
    try:
        parts = deal(_split("time", validation=validation, test=test), Bundles(counts))
    except Invalid:
        return

    assert parts == sorted(parts)


@given(rows=st.integers(3, 200), validation=FRACTIONS, test=FRACTIONS, method=st.sampled_from(["time", "group"]))
def test_where_each_row_is_alone_the_fractions_are_met_exactly(rows: int, validation: float, test: float, method: str) -> None:
    split = _split(method, validation=validation, test=test)
    wanted = held_out(split, rows)

    sizes = rows_of_parts(deal(split, Bundles([1] * rows)), [1] * rows)

    assert (sizes.validation, sizes.test) == wanted


@given(counts=st.lists(st.integers(1, 30), min_size=6, max_size=25), validation=FRACTIONS)
def test_no_single_group_more_would_bring_the_validation_nearer_to_its_fraction(counts: list[int], validation: float) -> None:
    split = _split("group", validation=validation)
    [wanted, _] = held_out(split, sum(counts))

    parts = deal(split, Bundles(counts))

    taken = sum(count for count, part in zip(counts, parts, strict=True) if part == VALIDATION)
    left_to_train = [count for count, part in zip(counts, parts, strict=True) if part == TRAIN]
    if len(left_to_train) > 1:
        assert all(abs(taken + count - wanted) >= abs(taken - wanted) for count in left_to_train)


@pytest.mark.parametrize(
    ("method", "counts", "validation", "test", "parts"),
    [
        ("time", [1] * 5, 0.2, 0.0, [TRAIN] * 4 + [VALIDATION]),
        ("time", [1] * 5, 0.2, 0.2, [TRAIN] * 3 + [VALIDATION, TEST]),
        ("time", [7, 3], 0.2, 0.0, [TRAIN, VALIDATION]),
        ("time", [2, 6, 2], 0.5, 0.0, [TRAIN, VALIDATION, VALIDATION]),
        ("time", [98, 1, 1], 0.4, 0.4, [TRAIN, VALIDATION, TEST]),
        ("time", [1, 1, 98], 0.1, 0.1, [TRAIN, VALIDATION, TEST]),
        ("time", [5, 5], 0.0, 0.0, [TRAIN, TRAIN]),
        ("group", [5, 3, 2], 0.2, 0.0, [TRAIN, TRAIN, VALIDATION]),
        ("group", [90, 5, 5], 0.2, 0.2, [TRAIN, VALIDATION, TEST]),
        ("group", [60, 40], 0.2, 0.0, [TRAIN, VALIDATION]),
        ("group", [10, 45, 45], 0.3, 0.0, [VALIDATION, TRAIN, TRAIN]),
        ("group", [10, 30, 60], 0.3, 0.0, [VALIDATION, VALIDATION, TRAIN]),
        ("group", [1, 3, 3, 3], 0.3, 0.0, [VALIDATION, VALIDATION, TRAIN, TRAIN]),
    ],
)
def test_bundles_are_dealt_so(method: str, counts: list[int], validation: float, test: float, parts: list[int]) -> None:
    assert deal(_split(method, validation=validation, test=test), Bundles(counts)) == parts


def test_words_name_the_parts_in_any_case() -> None:
    words = ["train", "Validation", " TEST ", "Train"]

    parts = deal(_split("column"), Bundles([5, 3, 2, 1], words=words))

    assert parts == [TRAIN, VALIDATION, TEST, TRAIN]
    assert rows_of_parts(parts, [5, 3, 2, 1]) == Sizes(6, 3, 2)


@pytest.mark.parametrize(
    ("split", "bundles", "pointer", "words"),
    [
        (_split("column"), Bundles([1, 1], words=["train", "dev"]), "/split/column", "'by' says something else than train"),
        (_split("column"), Bundles([1, 2, 3], words=["a", "train", "b"]), "/split/column", "in 4 row(s) that have a target"),
        (_split("column"), Bundles([4], missing=2, words=["train"]), "/split/column", "missing in 2 row(s)"),
        (_split("column"), Bundles([4], words=["test"]), "/split/column", "says train in no row"),
        (_split("time"), Bundles([4, 4], missing=1), "/split/column", "missing in 1 row(s)"),
        (_split("time"), Bundles([9]), "/split/column", "has 1 different time(s) for 2 parts"),
        (_split("group", test=0.2), Bundles([5, 5]), "/split/column", "has 2 different group(s) for 3 parts"),
        (_split("group", validation=0.6, test=0.6), Bundles([1] * 9), "/split/validation", "none to train on"),
    ],
)
def test_cells_that_do_not_split_are_refused(split: Split, bundles: Bundles, pointer: str, words: str) -> None:
    place, detail = _refusal(split, bundles)

    assert place == pointer
    assert words in detail
