"""Bodies of prediction requests: what is read, what is refused and where, what is warned of."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.domain.columns import CategoricalColumn, FittedColumn, NumericColumn
from app.domain.errors import Invalid, TooLarge
from app.domain.schema import StorageType
from app.serving.findings import MOST, Findings, PredictionWarning
from app.serving.inputs import InputReader
from app.serving.json_body import asked_by
from app.serving.predict import Inputs
from tests.serving.checkpoints import NUMBER, TEXT

LENGTH, WIDTH = NUMBER(name="length"), NUMBER(name="width")
FLAG = NumericColumn(name="flag", type=StorageType.BOOL, kind="boolean", impute=0.0)
CITY = TEXT(name="city", levels=["Bonn", "Ulm", "12"])
CODE = CategoricalColumn(name="code", type=StorageType.INT64, kind="categorical", levels=["7", "12"])
MIXED: list[FittedColumn] = [CITY, LENGTH, FLAG, CODE]


def read(body: dict[str, Any], columns: Sequence[FittedColumn]) -> tuple[Inputs, list[PredictionWarning]]:
    findings = Findings()
    inputs = InputReader(columns).read(asked_by(body).sent, max_rows=1000, findings=findings)
    return inputs, findings.warnings()


def numbers(body: dict[str, Any], columns: Sequence[FittedColumn]) -> list[list[float]]:
    features = read(body, columns)[0].features
    assert features is not None
    assert features.dtype == np.float64
    return [list(row) for row in features.tolist()]


def texts(values: list[object], column: CategoricalColumn) -> list[str]:
    (found,) = read({"columns": {column.name: values}}, [column])[0].texts
    assert found.shape == (len(values), 1)
    return [str(text) for text in found[:, 0]]


def faults(body: dict[str, Any], columns: Sequence[FittedColumn]) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(body, columns)
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [{"width": 2, "length": 1.5}, {"length": 3.0, "width": 4.0}]},
        {"rows": [[1.5, 2], [3.0, 4.0]]},
        {"rows": [[1.5, 2], {"length": 3.0, "width": 4.0}]},
        {"columns": {"width": [2, 4.0], "length": [1.5, 3.0]}},
    ],
)
def test_rows_lists_and_columns_are_three_forms_of_the_same_request(body: dict[str, Any]) -> None:
    assert numbers(body, [LENGTH, WIDTH]) == [[1.5, 2.0], [3.0, 4.0]]
    assert read(body, [LENGTH, WIDTH])[1] == []


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [{"city": "Ulm", "length": 1.5, "flag": True, "code": 7}]},
        {"rows": [["Ulm", 1.5, True, 7]]},
        {"columns": {"code": [7], "flag": [True], "length": [1.5], "city": ["Ulm"]}},
    ],
)
def test_columns_of_all_kinds_find_their_inputs(body: dict[str, Any]) -> None:
    inputs, warnings = read(body, MIXED)

    assert numbers(body, MIXED) == [[1.5, 1.0]]
    assert [text.tolist() for text in inputs.texts] == [[["Ulm"]], [["7"]]]
    assert warnings == []


def test_one_feature_alone_is_read_in_every_form() -> None:
    assert numbers({"rows": [{"length": 1}]}, [LENGTH]) == [[1.0]]
    assert numbers({"rows": [[1]]}, [LENGTH]) == [[1.0]]
    assert numbers({"columns": {"length": [1]}}, [LENGTH]) == [[1.0]]


@pytest.mark.parametrize("value", [True, False, 0, 1, 1.0])
def test_a_boolean_column_takes_true_false_zero_and_one(value: object) -> None:
    assert numbers({"rows": [[value, 2.5]]}, [FLAG, LENGTH]) == [[float(value), 2.5]]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2, 0.5, "true", [], {}])
def test_a_boolean_column_takes_nothing_else(value: object) -> None:
    assert faults({"rows": [{"flag": value}]}, [FLAG]) == [("/rows/0/flag", "wrong_type")]


@pytest.mark.parametrize("value", ["5.1", "", "abc", True, [1.0], {"a": 1}])
def test_a_numeric_column_takes_only_numbers(value: object) -> None:
    body = {"rows": [{"length": 1.0, "width": 2.0}, {"length": 1.0, "width": value}]}

    assert faults(body, [LENGTH, WIDTH]) == [("/rows/1/width", "wrong_type")]


@pytest.mark.parametrize("value", [math.inf, -math.inf, "Infinity", "-Infinity", 10**400])
def test_an_infinite_number_is_refused(value: object) -> None:
    assert faults({"rows": [[1.0, value]]}, [LENGTH, WIDTH]) == [("/rows/0/1", "not_finite")]


@pytest.mark.parametrize("value", [None, math.nan, "NaN"])
def test_a_missing_number_is_nan_with_a_warning_that_names_its_place(value: object) -> None:
    (inputs, (warning,)) = read({"rows": [[1.0, 2.0], [3.0, value]]}, [LENGTH, WIDTH])

    assert inputs.features is not None
    assert np.isnan(inputs.features).tolist() == [[False, False], [False, True]]
    assert (warning.code, warning.row, warning.column) == ("missing_value", 1, "width")


@pytest.mark.parametrize("value", [None, "", math.nan])
def test_a_missing_category_is_the_empty_text_with_a_warning(value: object) -> None:
    (inputs, (warning,)) = read({"rows": [{"city": "Bonn"}, {"city": value}]}, [CITY])

    assert inputs.texts[0].tolist() == [["Bonn"], [""]]
    assert (warning.code, warning.row, warning.column) == ("missing_value", 1, "city")


def test_where_the_spec_refuses_missing_values_a_request_may_not_have_them() -> None:
    columns: list[FittedColumn] = [NUMBER(name="length", impute=None), TEXT(name="city", levels=["Bonn"], refuse_missing=True)]

    assert faults({"rows": [[1.0, "Bonn"], [None, None]]}, columns) == [
        ("/rows/1/0", "missing_value"),
        ("/rows/1/1", "missing_value"),
    ]


def test_an_empty_text_that_is_a_level_is_not_missing_but_null_is() -> None:
    column = TEXT(name="city", levels=["", "Bonn"])

    _, (warning,) = read({"rows": [{"city": ""}, {"city": None}]}, [column])

    assert (warning.code, warning.row) == ("missing_value", 1)


def test_a_number_is_a_category_where_its_text_is_a_level() -> None:
    assert texts([12, 12.0, "12"], CITY) == ["12", "12", "12"]
    assert texts([7, 12.0, "7"], CODE) == ["7", "12", "7"]


@pytest.mark.parametrize("value", [13, True, [1], {"a": 1}, math.inf])
def test_what_is_no_text_and_no_level_is_no_category(value: object) -> None:
    assert faults({"rows": [{"city": value}]}, [CITY]) == [("/rows/0/city", "wrong_type")]


def test_true_and_one_are_the_same_category_of_a_boolean_column() -> None:
    column = CategoricalColumn(name="member", type=StorageType.BOOL, kind="categorical", levels=["false", "true"])

    assert texts([True, 1, 0, "true", False], column) == ["true", "true", "false", "true", "false"]


@pytest.mark.parametrize(("column", "value", "text"), [(CITY, "Oslo", "Oslo"), (CODE, 99, "99"), (CODE, "abc", "abc")])
def test_an_unseen_category_is_a_warning(column: CategoricalColumn, value: object, text: str) -> None:
    (inputs, (warning,)) = read({"rows": [{column.name: value}]}, [column])

    assert inputs.texts[0].tolist() == [[text]]
    assert (warning.code, warning.row, warning.column) == ("unseen_category", 0, column.name)


def test_an_extra_column_is_one_warning_however_many_rows_have_it() -> None:
    row = {"length": 1.0, "species": "setosa"}

    (_, (of_rows,)) = read({"rows": [{"length": 1.0}, row, row]}, [LENGTH])
    (_, (of_columns,)) = read({"columns": {"length": [1.0], "species": ["setosa"]}}, [LENGTH])

    assert (of_rows.code, of_rows.row, of_rows.column) == ("extra_column", 1, "species")
    assert (of_columns.code, of_columns.row, of_columns.column) == ("extra_column", None, "species")


def test_a_missing_column_is_named_in_every_row_that_lacks_it() -> None:
    body = {"rows": [{"length": 1.0}, {"length": 1.0, "width": 1.0}, {"width": 1.0, "extra": 1}]}

    assert faults(body, [LENGTH, WIDTH]) == [("/rows/0/width", "missing_column"), ("/rows/2/length", "missing_column")]
    assert faults({"rows": [{"extra": 1}]}, [LENGTH]) == [("/rows/0/length", "missing_column")]
    assert faults({"columns": {"width": [1.0]}}, [LENGTH, WIDTH]) == [("/columns/length", "missing_column")]


def test_a_row_or_column_of_the_wrong_length_is_refused() -> None:
    assert faults({"rows": [[1.0, 2.0], [1.0], [1.0, 2.0, 3.0]]}, [LENGTH, WIDTH]) == [
        ("/rows/1", "wrong_length"),
        ("/rows/2", "wrong_length"),
    ]
    assert faults({"columns": {"length": [1.0], "width": [1.0, 2.0]}}, [LENGTH, WIDTH]) == [("/columns/length", "wrong_length")]


@pytest.mark.parametrize("row", [None, 1.0, "a", True])
def test_a_row_is_an_object_or_a_list(row: object) -> None:
    assert faults({"rows": [row]}, [LENGTH]) == [("/rows/0", "wrong_type")]


def test_all_faults_are_told_at_once_in_the_coordinates_of_what_was_sent() -> None:
    body = {"rows": [{"city": 1, "length": "x", "flag": 3}, ["Bonn", math.inf, True, []], [1]]}

    assert set(faults(body, MIXED)) == {
        ("/rows/0/city", "wrong_type"),
        ("/rows/0/length", "wrong_type"),
        ("/rows/0/flag", "wrong_type"),
        ("/rows/0/code", "missing_column"),
        ("/rows/1/1", "not_finite"),
        ("/rows/1/3", "wrong_type"),
        ("/rows/2", "wrong_length"),
    }


def test_pointers_of_columns_lead_into_columns_and_escape_names() -> None:
    column = NUMBER(name="a/b~c")

    assert faults({"columns": {"a/b~c": [1.0, "x"]}}, [column]) == [("/columns/a~1b~0c/1", "wrong_type")]
    assert faults({"rows": [{"a/b~c": "x"}]}, [column]) == [("/rows/0/a~1b~0c", "wrong_type")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/rows"),
        ({"rows": [[1.0]], "columns": {"length": [1.0]}}, "/columns"),
        ({"rows": []}, "/rows"),
        ({"columns": {}}, "/columns"),
        ({"columns": {"length": []}}, "/columns"),
    ],
)
def test_a_request_needs_rows_in_one_form(body: dict[str, Any], pointer: str) -> None:
    assert [where for where, _ in faults(body, [LENGTH])] == [pointer]


@pytest.mark.parametrize("body", [{"rows": [[1.0]] * 1001}, {"columns": {"length": [1.0] * 1001}}])
def test_more_rows_than_allowed_are_too_large(body: dict[str, Any]) -> None:
    with pytest.raises(TooLarge, match="1000"):
        read(body, [LENGTH])


def test_warnings_and_faults_are_bounded_and_say_how_many_there_were() -> None:
    _, warnings = read({"rows": [[None]] * (MOST + 7)}, [LENGTH])
    found = faults({"rows": [["x"]] * (MOST + 7)}, [LENGTH])

    assert len(warnings) == len(found) == MOST + 1
    assert warnings[-1].code == "more_warnings"
    assert "7" in warnings[-1].detail
    assert found[-1] == ("", "more_faults")


def test_no_value_of_a_row_stands_in_a_fault() -> None:
    with pytest.raises(Invalid) as caught:
        read({"rows": [["secret", 1.0, True, 7], ["Bonn", "secret", "secret", ["secret"]]]}, MIXED)

    assert "secret" not in str(caught.value)
