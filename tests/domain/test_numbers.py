"""Non-finite numbers in JSON."""

import math

import pytest

from app.domain.numbers import JsonNumber, column_to_json, to_json


@pytest.mark.parametrize(
    ("number", "written"), [(1.5, 1.5), (None, None), (math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_a_number_is_written_as_json_can_carry_it(number: float | None, written: JsonNumber) -> None:
    assert to_json(number) == written


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, None], [1.0, None]),
        ([math.inf, -math.inf], ["Infinity", "-Infinity"]),
        ([1.0, math.nan, None], [1.0, "NaN", None]),
        ([1e308, 1e308], [1e308, 1e308]),
        ([], []),
    ],
)
def test_a_column_is_written_number_by_number(column: list[float | None], written: list[JsonNumber]) -> None:
    assert column_to_json(column) == written
