import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Invalid
from app.domain.sizes import Sizes, sizes_of, sum_of
from app.domain.spec import Split

FRACTIONS = st.floats(0, 0.45)


@pytest.mark.parametrize(
    ("rows", "validation", "test", "expected"),
    [
        (150, 0.2, 0.0, Sizes(120, 30, 0)),
        (10, 0.25, 0.0, Sizes(7, 3, 0)),
        (2, 0.01, 0.0, Sizes(1, 1, 0)),
        (3, 0.2, 0.2, Sizes(1, 1, 1)),
        (1, 0.0, 0.0, Sizes(1, 0, 0)),
    ],
)
def test_fractions_are_rounded_half_up_and_never_to_nothing(rows: int, validation: float, test: float, expected: Sizes) -> None:
    assert sizes_of(Split(validation=validation, test=test), [rows]) == [expected]


@pytest.mark.parametrize(
    ("counts", "validation", "test", "pointer"),
    [
        ([1], 0.2, 0.0, "/split/validation"),
        ([1], 0.0, 0.2, "/split/test"),
        ([2], 0.2, 0.2, "/split/validation"),
        ([10], 0.6, 0.6, "/split/validation"),
        ([1, 1, 1, 1], 0.25, 0.0, "/split/validation"),
        ([2, 1], 0.3, 0.3, "/split/validation"),
    ],
)
def test_a_part_that_would_be_empty_is_refused(counts: list[int], validation: float, test: float, pointer: str) -> None:
    with pytest.raises(Invalid) as invalid:
        sizes_of(Split(validation=validation, test=test), counts)

    assert [fault.pointer for fault in invalid.value.faults] == [pointer]


@given(counts=st.lists(st.integers(1, 50), min_size=2, max_size=8), validation=FRACTIONS, test=FRACTIONS)
def test_strata_add_up_and_each_keeps_a_row_to_train_on(counts: list[int], validation: float, test: float) -> None:
    split = Split(validation=validation, test=test)
    try:
        sizes = sizes_of(split, counts)
    except Invalid:
        return

    total = sum_of(sizes)
    assert [size.train + size.validation + size.test for size in sizes] == counts
    assert all(size.train >= 1 and size.validation >= 0 and size.test >= 0 for size in sizes)
    assert (total.validation > 0, total.test > 0) == (validation > 0, test > 0)
    if min(counts) > 1 and sum(counts) - len(counts) >= sum(counts) * (validation + test) + 1:
        assert total == sizes_of(split, [sum(counts)])[0]


def test_what_cannot_be_taken_from_small_classes_is_taken_from_large_ones() -> None:
    assert sizes_of(Split(validation=0.5), [1, 1, 8]) == [Sizes(1, 0, 0), Sizes(1, 0, 0), Sizes(3, 5, 0)]
