"""The values of trials: within their bounds, each combination once, and the same for the same seed."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from app.domain.spec.blocks import LARGEST
from app.domain.sweep_sampling import Values, drawn, finite, grid, grid_size
from app.domain.sweep_search import Choice, Distribution, Finite, LogUniform, Range, Uniform

BOUNDS = st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)).filter(lambda pair: pair[0] < pair[1])
POSITIVE = st.tuples(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300)).filter(lambda pair: pair[0] < pair[1])
ENDS = st.tuples(st.integers(-LARGEST, LARGEST), st.integers(-LARGEST, LARGEST)).filter(lambda pair: pair[0] < pair[1])
WORDS: st.SearchStrategy[JsonValue] = st.integers(-LARGEST, LARGEST) | st.text() | st.none()
COUNTABLE = st.one_of(
    st.lists(WORDS, min_size=1, max_size=5, unique=True).map(lambda values: Choice(choice=values)),
    st.tuples(st.integers(-20, 20), st.integers(1, 20), st.integers(1, 7)).map(
        lambda ends: Range(range=[ends[0], ends[0] + ends[1], ends[2]])
    ),
)
ANY = st.one_of(
    COUNTABLE,
    ENDS.map(lambda ends: Range(range=[*ends])),
    BOUNDS.map(lambda bounds: Uniform(uniform=bounds)),
    POSITIVE.map(lambda bounds: LogUniform(log_uniform=bounds)),
)
SEEDS = st.integers(0, LARGEST)


def within(found: Distribution, value: JsonValue) -> bool:
    match found:
        case Choice():
            return value in found.choice
        case Range():
            return isinstance(value, int) and value in range(*found.range)
        case Uniform():
            return isinstance(value, float) and found.uniform[0] <= value <= found.uniform[1]
        case LogUniform():
            return isinstance(value, float) and found.log_uniform[0] <= value <= found.log_uniform[1]


def text(values: Mapping[str, JsonValue]) -> str:
    return repr(sorted(values.items()))


@given(st.dictionaries(st.text(max_size=3), ANY, min_size=1, max_size=4), st.integers(1, 30), SEEDS)
def test_what_is_drawn_lies_within_its_bounds_and_is_decided_by_the_seed(
    search: dict[str, Distribution], trials: int, seed: int
) -> None:
    found = list(drawn(search, trials=trials, seed=seed))

    assert all(within(search[path], value) for values in found for path, value in values.items())
    assert all(list(values) == list(search) for values in found)
    assert len(found) == trials or len(finite(search)) == len(search)
    assert found == list(drawn(dict(reversed(search.items())), trials=trials, seed=seed))


@given(st.dictionaries(st.text(max_size=3), COUNTABLE, min_size=1, max_size=3), st.integers(1, 400), SEEDS)
def test_no_combination_is_drawn_twice_and_all_where_there_are_no_more(
    search: dict[str, Finite], trials: int, seed: int
) -> None:
    found = [text(values) for values in drawn(search, trials=trials, seed=seed)]

    assert len(set(found)) == len(found) == min(trials, grid_size(search))
    assert set(found) <= {text(values) for values in grid(search)}


@given(st.dictionaries(st.text(max_size=3), COUNTABLE, min_size=1, max_size=3))
def test_a_grid_has_every_combination_once(search: dict[str, Finite]) -> None:
    found = [text(values) for values in grid(search)]

    assert len(set(found)) == len(found) == grid_size(search)


def test_a_grid_varies_the_last_path_quickest() -> None:
    search: dict[str, Finite] = {"a": Choice(choice=["x", None]), "b": Range(range=[0, 5, 2])}

    assert list(grid(search)) == [{"a": a, "b": b} for a in ("x", None) for b in (0, 2, 4)]


def test_a_seed_draws_the_same_for_ever() -> None:
    search: dict[str, Distribution] = {"a": LogUniform(log_uniform=(1e-4, 0.1)), "b": Range(range=[0, 100])}

    [first, *_] = drawn(search, trials=2, seed=42)
    places = [values["b"] for values in drawn({"b": search["b"]}, trials=4, seed=42)]

    assert first == {"a": pytest.approx(0.008284768840933805, rel=1e-12), "b": 2}
    assert places == [63, 3, 28, 24]


def test_a_logarithmic_range_gives_each_power_of_ten_its_share() -> None:
    found = LogUniform(log_uniform=(1e-4, 1.0))
    values: list[Values] = list(drawn({"a": found}, trials=4000, seed=1))

    shares = [sum(low <= float(str(value["a"])) < 10 * low for value in values) / 4000 for low in (1e-4, 1e-3, 1e-2, 1e-1)]

    assert shares == pytest.approx([0.25] * 4, abs=0.03)
