from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Invalid
from app.domain.spec import ResolvedSpec
from app.tabular.split import Parts, split
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


CELLS = st.lists(st.integers(0, 7) | st.none(), min_size=3, max_size=40)


def _frame(cells: Sequence[object]) -> pl.DataFrame:
    """A regression without gaps in its target; cells that are all missing are numbers, as in a stored dataset."""
    by = pl.Series(cells, dtype=None if any(cell is not None for cell in cells) else pl.Float64)
    return pl.DataFrame({"x": [0.5] * len(cells), "y": [i + 0.5 for i in range(len(cells))], "by": by})


def _by(cells: Sequence[object], *, seed: int = 42, **split: object) -> tuple[ResolvedSpec, pl.DataFrame]:
    """Split by the column `by`."""
    frame = _frame(cells)
    return resolved(frame, seed=seed, split={"column": "by", **split}).spec, frame


def _parts(spec: ResolvedSpec, frame: pl.DataFrame) -> Parts:
    return split(spec, np.zeros(len(frame)), frame)


@given(
    cells=CELLS, seed=st.integers(0, 2**63 - 1), validation=st.sampled_from([0.0, 0.2, 0.4]), test=st.sampled_from([0.0, 0.3])
)
def test_a_group_never_straddles_and_every_row_is_in_one_part(
    cells: list[int | None], seed: int, validation: float, test: float
) -> None:
    try:
        spec, frame = _by(cells, seed=seed, method="group", validation=validation, test=test)
    except Invalid:
        assert len(set(cells)) <= (validation > 0) + (test > 0) or set(cells) == {None}
        return

    parts, again = _parts(spec, frame), _parts(spec, frame)

    rows = [parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()]
    groups = [{cells[row] for row in part} for part in rows]
    assert sorted(row for part in rows for row in part) == list(range(len(cells)))
    assert [len(part) for part in rows] == [spec.train_rows, spec.validation_rows, spec.test_rows]
    assert groups[0].isdisjoint(groups[1] | groups[2])
    assert groups[1].isdisjoint(groups[2])
    assert [part == sorted(part) for part in rows] == [True] * 3
    assert [again.train.tolist(), again.validation.tolist(), again.test.tolist()] == rows


@pytest.mark.parametrize(
    "type_", [pl.Int64, pl.Float64, pl.String, pl.Datetime("us")], ids=["int64", "float64", "string", "datetime"]
)
def test_groups_may_be_cells_of_any_type(type_: pl.DataType) -> None:
    cells = pl.Series([3, 1, None, 3, 2, 2, 1, None, 4, 5]).cast(pl.Int64).cast(type_).to_list()
    spec, frame = _by(cells, method="group", validation=0.4)

    parts = _parts(spec, frame)

    assert len(parts.validation) == spec.validation_rows == 4
    assert {cells[row] for row in parts.validation}.isdisjoint(cells[row] for row in parts.train)


def test_another_seed_draws_other_groups_and_the_file_s_order_does_not_matter() -> None:
    frame = _frame([f"g{i % 20}" for i in range(60)])

    def validated(frame: pl.DataFrame, seed: int) -> set[str]:
        spec = resolved(frame, seed=seed, split={"method": "group", "column": "by"}).spec
        return set(frame[_parts(spec, frame).validation]["by"])

    assert validated(frame, 1) == validated(frame.reverse(), 1)
    assert validated(frame, 1) != validated(frame, 2)
    assert set.union(*(validated(frame, seed) for seed in range(30))) == set(frame["by"])


def test_the_groups_of_a_seed_never_change() -> None:
    spec, frame = _by([f"g{i}" for i in range(20)], method="group", validation=0.2)

    assert _parts(spec, frame).validation.tolist() == [0, 1, 9, 10]


@given(cells=st.lists(st.integers(0, 9), min_size=3, max_size=40).filter(lambda cells: len(set(cells)) >= 3))
def test_later_times_are_in_later_parts_and_equal_times_together(cells: list[int]) -> None:
    try:
        spec, frame = _by(cells, method="time", validation=0.25, test=0.25)
    except Invalid:
        return

    parts = _parts(spec, frame)

    times = [[cells[row] for row in part.tolist()] for part in (parts.train, parts.validation, parts.test)]
    assert max(times[0]) < min(times[1]) <= max(times[1]) < min(times[2])
    assert [len(part) for part in times] == [spec.train_rows, spec.validation_rows, spec.test_rows]
    assert sum(map(len, times)) == len(cells)


def test_the_latest_dates_validate_and_the_very_latest_test() -> None:
    days = [datetime(2026, 1, day) for day in (5, 1, 9, 3, 7, 2, 8, 4, 10, 6)]
    spec, frame = _by(days, method="time", validation=0.2, test=0.1)

    parts = _parts(spec, frame)

    assert [[days[row].day for row in rows] for rows in (parts.validation, parts.test)] == [[9, 8], [10]]
    assert sorted(days[row].day for row in parts.train) == [1, 2, 3, 4, 5, 6, 7]


def test_cells_say_which_part_a_row_is_in() -> None:
    spec, frame = _by(["train", "test", "Validation", "train", " TRAIN ", "validation"], method="column")

    parts = _parts(spec, frame)

    assert (parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()) == ([0, 3, 4], [2, 5], [1])


@pytest.mark.parametrize(
    ("method", "cells", "words"),
    [("column", ["train", None, "test"], "missing in 1 row"), ("time", [1, None, 3], "missing in 1 row")],
)
def test_a_missing_cell_is_refused_where_it_says_nothing(method: str, cells: list[object], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        _by(cells, method=method)


@pytest.mark.parametrize(
    ("method", "cells"),
    [("column", ["train", None, "validation", "oops"]), ("time", [1, None, 2, None])],
    ids=["column", "time"],
)
def test_cells_of_rows_without_target_do_not_matter(method: str, cells: list[object]) -> None:
    frame = _frame(cells).with_columns(y=pl.Series([0.5, None, 1.5, None]))

    spec = resolved(frame, split={"method": method, "column": "by"}).spec

    assert (spec.train_rows, spec.validation_rows) == (1, 1)
    assert _parts(spec, frame.drop_nulls("y")).validation.tolist() == [1]
