import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schema import MAX_LEVELS, Kind
from app.tabular.description import Description, describe
from app.tabular.statistics import CategoricalStatistics, DatetimeStatistics, NumericStatistics
from tests.tabular.conftest import Ingest
from tests.tabular.specs import KINDS


def _described(series: pl.Series, kind: Kind = Kind.NUMERIC) -> Description:
    return describe({"x": (kind, series)})


@pytest.mark.parametrize(
    ("values", "levels", "counts"),
    [
        ([3, 1, 3, None], [1, 3], [1, 2]),
        ([2.0, 1.0, 2.0], [1.0, 2.0], [1, 2]),
        ([True, False, True], [False, True], [1, 2]),
        (["b", "a", "b"], ["a", "b"], [1, 2]),
        ([1.5, 2.0], None, None),
        ([1.0, float("inf")], None, None),
    ],
)
def test_levels_are_sorted_and_keep_their_type(values: list[object], levels: object, counts: object) -> None:
    series = pl.Series(values)

    column = _described(series, KINDS[type(series.dtype)]).columns[0]

    assert (column.levels, column.counts) == (levels, counts)
    assert all(type(level) is type(values[0]) for level in column.levels or [])


def test_more_levels_than_the_limit_are_not_listed() -> None:
    exactly = _described(pl.Series(range(MAX_LEVELS))).columns[0]
    more = _described(pl.Series(range(MAX_LEVELS + 1))).columns[0]

    assert exactly.levels == list(range(MAX_LEVELS))
    assert (more.levels, more.counts, more.distinct) == (None, None, MAX_LEVELS + 1)


def test_long_texts_are_no_levels() -> None:
    column = _described(pl.Series(["x" * 60_000 + str(i) for i in range(5)]), Kind.CATEGORICAL).columns[0]

    assert (column.levels, column.distinct) == (None, 5)


def test_a_wholly_missing_column_is_described() -> None:
    found = _described(pl.Series([None, None], dtype=pl.Float64))

    assert (found.columns[0].missing, found.columns[0].distinct, found.columns[0].integral) == (2, 0, False)
    assert (found.columns[0].minimum, found.columns[0].maximum) == (None, None)
    assert found.statistics[0].model_dump() == {
        "name": "x",
        "missing": 2,
        "kind": "numeric",
        "min": None,
        "max": None,
        "mean": None,
        "std": None,
        "quantiles": dict.fromkeys(("0.05", "0.25", "0.5", "0.75", "0.95")),
    }


@given(st.lists(st.floats(-1e300, 1e300), min_size=2))
def test_numeric_statistics_agree_with_numpy(values: list[float]) -> None:
    found = _described(pl.Series(values, dtype=pl.Float64)).statistics[0]

    assert isinstance(found, NumericStatistics)
    assert (found.min, found.max) == (min(values), max(values))
    assert found.std is not None
    assert np.isfinite(found.std)
    scale = max(map(abs, values))
    if 1e-100 < scale < 1e100:  # beyond, numpy's own squares leave the range of a float
        assert found.mean == pytest.approx(np.mean(values), abs=1e-9 * scale)
        assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9 * scale)
        assert list(found.quantiles.values()) == pytest.approx(
            np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]), abs=1e-9 * scale
        )


def test_a_single_value_has_no_standard_deviation() -> None:
    found = _described(pl.Series([5])).statistics[0]

    assert isinstance(found, NumericStatistics)
    assert (found.mean, found.std) == (5.0, None)


def test_booleans_count_as_0_and_1() -> None:
    found = _described(pl.Series([True, True, False, None]), Kind.BOOLEAN).statistics[0]

    assert isinstance(found, NumericStatistics)
    assert (found.kind, found.min, found.max) == ("boolean", 0, 1)
    assert found.mean == pytest.approx(2 / 3)


def test_infinite_values_are_left_out_of_the_statistics() -> None:
    found = _described(pl.Series([1.0, 3.0, float("inf")])).statistics[0]

    assert isinstance(found, NumericStatistics)
    assert (found.max, found.mean) == (3.0, 2.0)


def test_quantiles_lie_between_values_that_are_further_apart_than_the_largest_number() -> None:
    found = _described(pl.Series([1e308, -1e308, float("inf")])).statistics[0]

    assert isinstance(found, NumericStatistics)
    assert found.quantiles == pytest.approx({"0.05": -0.9e308, "0.25": -0.5e308, "0.5": 0.0, "0.75": 0.5e308, "0.95": 0.9e308})


def test_the_most_frequent_values_come_first_and_long_ones_are_cut() -> None:
    found = _described(pl.Series(["b", "b", "a", "z" * 300, None]), Kind.CATEGORICAL).statistics[0]

    assert isinstance(found, CategoricalStatistics)
    assert (found.cardinality, found.missing) == (3, 1)
    assert [(top.value, top.count) for top in found.top] == [("b", 2), ("a", 1), ("z" * 200 + "…", 1)]


def test_moments_have_a_first_and_a_last(read: Ingest) -> None:
    found, _ = read(b"t\n2024-03-01\n2024-02-29T12:00:00Z\n")

    assert found.statistics[0] == DatetimeStatistics(
        name="t", missing=0, min="2024-02-29T12:00:00Z", max="2024-03-01T00:00:00Z"
    )


def test_a_description_survives_json() -> None:
    found = describe({"a": (Kind.NUMERIC, pl.Series([1.0, 2.0])), "b": (Kind.CATEGORICAL, pl.Series(["1", "x"]))})

    assert Description.model_validate_json(found.model_dump_json()) == found
