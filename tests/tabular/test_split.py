import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Invalid
from app.domain.spec import ResolvedSpec
from app.tabular.split import split
from tests.tabular.specs import resolved


def _rows(codes: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"x": [0.5] * len(codes), "y": [f"c{code}" for code in codes]})


def _spec(codes: list[int], **values: object) -> ResolvedSpec:
    return resolved(_rows(codes), **values).spec


@given(
    codes=st.lists(st.integers(0, 3), min_size=8, max_size=60).filter(lambda codes: len(set(codes)) == 4),
    seed=st.integers(0, 2**63 - 1),
    stratify=st.booleans(),
)
def test_every_row_is_in_one_part_and_sizes_are_those_of_the_spec(codes: list[int], seed: int, stratify: bool) -> None:
    try:
        spec = _spec(codes, seed=seed, split={"validation": 0.2, "test": 0.15, "stratify": stratify})
    except Invalid:
        return
    target = np.array(codes)

    parts = split(spec, target, _rows(codes))

    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(len(codes)))
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (spec.train_rows, spec.validation_rows, spec.test_rows)
    if stratify:
        assert set(target[parts.train].tolist()) == {0, 1, 2, 3}


def test_the_same_seed_splits_alike_and_another_does_not() -> None:
    codes = [0, 1] * 50

    first, again = (split(_spec(codes, seed=7), np.array(codes), _rows(codes)) for _ in range(2))
    other = split(_spec(codes, seed=8), np.array(codes), _rows(codes))

    assert first.validation.tolist() == again.validation.tolist()
    assert first.validation.tolist() != other.validation.tolist()


def test_the_split_of_a_seed_never_changes() -> None:
    codes = [0, 1] * 10

    parts = split(_spec(codes, seed=42), np.array(codes), _rows(codes))

    assert parts.validation.tolist() == [10, 11, 15, 18]


def test_classes_share_the_parts_in_proportion() -> None:
    codes = [0] * 60 + [1] * 30 + [2] * 10

    parts = split(_spec(codes, split={"validation": 0.2, "test": 0.1}), np.array(codes), _rows(codes))

    assert np.bincount(np.array(codes)[parts.validation]).tolist() == [12, 6, 2]
    assert np.bincount(np.array(codes)[parts.test]).tolist() == [6, 3, 1]


def test_a_class_with_a_single_row_is_trained_on() -> None:
    codes = [0] * 10 + [1]

    for seed in range(20):
        parts = split(_spec(codes, seed=seed), np.array(codes), _rows(codes))
        assert 10 in parts.train.tolist()


def test_rows_are_in_file_order_within_each_part() -> None:
    codes = [0, 1] * 20

    parts = split(_spec(codes), np.array(codes), _rows(codes))

    for rows in (parts.train, parts.validation):
        assert rows.tolist() == sorted(rows.tolist())


def test_a_regression_of_one_row_cannot_be_validated() -> None:
    with pytest.raises(Invalid, match=r"^/split/validation: 1 row"):
        resolved(pl.DataFrame({"x": [1.0], "y": [1.5]}))
