"""The Open Inference Protocol: forms of a request, its faults, its answers, and metadata that tells the truth."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.domain.columns import CategoricalColumn, FittedColumn, FittedTarget, FittedTargets, NumericColumn
from app.domain.errors import Invalid, Unparsable
from app.domain.schema import StorageType
from app.serving.sessions import load
from app.serving.v2.metadata import metadata
from app.serving.v2.source import InferSource
from tests.serving.asking import json_source, written
from tests.serving.checkpoints import LABELS, NUMBER, NUMBERS, TEXT, files
from tests.serving.formats import (
    binary_source,
    infer_source,
    infer_writer,
    labels_and_probabilities,
    read_answer,
    texts,
    warnings_of,
)

NUMERIC: list[FittedColumn] = [NUMBER(name="length"), NUMBER(name="width")]
MIXED: list[FittedColumn] = [NUMBER(name="size"), TEXT(name="city", levels=["Bonn", "Ulm"])]
STORED, BESIDE = files(NUMERIC), files(MIXED)
FEATURES = {"name": "features", "datatype": "FP64", "shape": [2, 2]}
ROWS = {"rows": [[1.0, 2.0], [3.5, -4.0]]}


def flat(values: Sequence[float], datatype: str = "FP64", **more: Any) -> InferSource:
    return infer_source([FEATURES | {"datatype": datatype, "data": values, **more}])


def column(name: str, values: Sequence[object], datatype: str = "FP64", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(values)], "data": values}


def answer_to(source: InferSource, stored: Any = STORED) -> Any:
    return labels_and_probabilities(written(source, stored, infer_writer(source)))


@pytest.mark.parametrize(
    "source",
    [
        flat([1.0, 2.0, 3.5, -4.0]),
        flat([1, 2, 3.5, -4]),
        flat([[1.0, 2.0], [3.5, -4.0]]),  # type: ignore[list-item]  # nested
        flat([1.0, 2.0, 3.5, -4.0], "FP32"),
        flat([1.0, 2.0, 3.5, -4.0], "FP16"),
        infer_source([column("length", [1.0, 3.5]), column("width", [2.0, -4.0])]),
        infer_source([column("width", [2, -4], "INT8", [2, 1]), column("length", [[1.0], [3.5]], "FP32", [2, 1])]),
        binary_source([(FEATURES, np.array([[1.0, 2.0], [3.5, -4.0]]).tobytes())]),
        binary_source([(FEATURES | {"datatype": "FP16"}, np.array([[1.0, 2.0], [3.5, -4.0]], dtype="<f2").tobytes())]),
        binary_source(
            [
                ({"name": "length", "datatype": "FP32", "shape": [2, 1]}, np.array([1.0, 3.5], dtype="<f4").tobytes()),
                ({"name": "width", "datatype": "INT16", "shape": [2]}, np.array([2, -4], dtype="<i2").tobytes()),
            ]
        ),
    ],
)
def test_an_all_numeric_model_takes_one_tensor_or_an_input_for_each_column(source: InferSource) -> None:
    assert answer_to(source) == labels_and_probabilities(written(json_source(ROWS), STORED))


def test_json_and_binary_inputs_may_stand_side_by_side() -> None:
    city = {"name": "city", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": 15}}
    head = json.dumps({"inputs": [column("size", [1.0, 2.0]), city]}).encode()
    source = InferSource(head + texts(["Bonn", "Ulm"]), header_length=len(head))

    rows = {"columns": {"size": [1.0, 2.0], "city": ["Bonn", "Ulm"]}}
    assert answer_to(source, BESIDE) == labels_and_probabilities(written(json_source(rows), BESIDE))


@pytest.mark.parametrize("missing", [None, math.nan, "NaN"])
def test_nan_in_a_number_is_missing_and_an_empty_text_is(missing: object) -> None:
    source = infer_source([column("size", [1.0, missing]), column("city", ["", "Ulm"], "BYTES")])

    warnings = warnings_of(written(source, BESIDE, infer_writer(source)))

    found = [(warning["code"], warning["row"], warning["column"]) for warning in warnings]
    assert found == [("missing_value", 1, "size"), ("missing_value", 0, "city")]


@pytest.mark.parametrize("value", [math.inf, -math.inf, "Infinity", 1e39])
def test_an_infinite_number_is_refused_where_it_stands(value: object) -> None:
    source = infer_source([FEATURES | {"datatype": "FP32", "data": [1.0, 2.0, 3.0, value]}])

    with pytest.raises(Invalid) as caught:
        written(source, STORED, infer_writer(source))

    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/inputs/0/data/3", "not_finite")]


def test_a_fault_of_nested_data_has_its_place_in_it_and_one_of_binary_data_the_inputs() -> None:
    nested = infer_source([FEATURES | {"data": [[1.0, "x"], [3.0, 4.0]]}])
    binary = binary_source([(FEATURES, np.array([[1.0, 2.0], [np.inf, 4.0]]).tobytes())])

    with pytest.raises(Invalid, match="column 'width'") as first:
        answer_to(nested)
    with pytest.raises(Invalid, match="Row 1, column 'length'") as second:
        answer_to(binary)

    assert [fault.pointer for fault in first.value.faults] == ["/inputs/0/data/0/1"]
    assert [fault.pointer for fault in second.value.faults] == ["/inputs/0"]


GOOD = FEATURES | {"data": [1.0, 2.0, 3.0, 4.0]}


@pytest.mark.parametrize(
    ("document", "place", "code"),
    [
        ([], "", "wrong_type"),
        ({}, "/inputs", "missing"),
        ({"inputs": []}, "/inputs", "wrong_type"),
        ({"inputs": [5]}, "/inputs/0", "wrong_type"),
        ({"inputs": [GOOD | {"name": None}]}, "/inputs/0/name", "missing"),
        ({"inputs": [GOOD | {"name": "x"}]}, "/inputs/0/name", "not_allowed"),
        ({"inputs": [GOOD, GOOD]}, "/inputs/1/name", "twice"),
        ({"inputs": [GOOD | {"datatype": "BF16"}]}, "/inputs/0/datatype", "not_allowed"),
        ({"inputs": [GOOD | {"shape": None}]}, "/inputs/0/shape", "missing"),
        ({"inputs": [GOOD | {"shape": [2, -1]}]}, "/inputs/0/shape", "wrong_type"),
        ({"inputs": [GOOD | {"shape": [True, 2]}]}, "/inputs/0/shape", "wrong_type"),
        ({"inputs": [GOOD | {"shape": [2, 2, 1]}]}, "/inputs/0/shape", "wrong_length"),
        ({"inputs": [GOOD | {"shape": [4]}]}, "/inputs/0/shape", "wrong_length"),
        ({"inputs": [GOOD | {"shape": [4, 1]}]}, "/inputs/0/shape", "wrong_length"),
        ({"inputs": [GOOD | {"shape": [0, 2], "data": []}]}, "/inputs/0", "empty"),
        ({"inputs": [GOOD | {"data": [1.0]}]}, "/inputs/0/data", "wrong_length"),
        ({"inputs": [GOOD | {"data": [[1.0, 2.0], [3.0]]}]}, "/inputs/0/data", "wrong_length"),
        ({"inputs": [GOOD | {"data": 5}]}, "/inputs/0/data", "wrong_type"),
        ({"inputs": [GOOD | {"data": [1.0, True, 3.0, 4.0]}]}, "/inputs/0/data/1", "wrong_type"),
        ({"inputs": [GOOD | {"datatype": "INT64", "data": [1, 2.0, 3, 4]}]}, "/inputs/0/data/1", "wrong_type"),
        ({"inputs": [GOOD | {"datatype": "INT8", "data": [1, 2, 3, 128]}]}, "/inputs/0/data/3", "out_of_range"),
        ({"inputs": [GOOD | {"datatype": "BOOL", "data": [1, 0, True, 2]}]}, "/inputs/0/data/3", "wrong_type"),
        ({"inputs": [GOOD | {"datatype": "BYTES", "data": ["1", "2", "3", 4]}]}, "/inputs/0/data/3", "wrong_type"),
        ({"inputs": [GOOD | {"parameters": 5}]}, "/inputs/0/parameters", "wrong_type"),
        ({"inputs": [GOOD | {"parameters": {"shared_memory_region": "x"}}]}, "/inputs/0/parameters", "not_supported"),
        ({"inputs": [GOOD | {"parameters": {"binary_data_size": 9}}]}, "/inputs/0/parameters/binary_data_size", "out_of_range"),
        ({"inputs": [column("length", [1.0])]}, "/inputs", "missing_column"),
        (
            {"inputs": [column("length", [1.0]), column("width", [1.0, 2.0])]},
            "/inputs/1/shape",
            "wrong_length",
        ),
        ({"inputs": [GOOD], "id": 5}, "/id", "wrong_type"),
        ({"inputs": [GOOD], "id": "\ud800"}, "/id", "bad_format"),
        ({"inputs": [GOOD], "outputs": 5}, "/outputs", "wrong_type"),
        ({"inputs": [GOOD], "outputs": [{"name": "labels"}]}, "/outputs/0/name", "not_allowed"),
        (
            {"inputs": [GOOD], "outputs": [{"name": "label", "parameters": {"binary_data": 1}}]},
            "/outputs/0/parameters/binary_data",
            "wrong_type",
        ),
        (
            {"inputs": [GOOD], "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "/outputs/0/parameters/classification",
            "not_supported",
        ),
        ({"inputs": [GOOD], "parameters": {"binary_data_output": "yes"}}, "/parameters/binary_data_output", "wrong_type"),
    ],
)
def test_a_fault_of_a_request_has_its_place(document: object, place: str, code: str) -> None:
    source = InferSource(json.dumps(document).encode(), header_length=None)

    with pytest.raises(Invalid) as caught:
        answer_to(source)

    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(place, code)]


def bytes_input(data: bytes, count: int = 1) -> InferSource:
    size = {"name": "size", "datatype": "FP32", "shape": [count]}
    city = {"name": "city", "datatype": "BYTES", "shape": [count]}
    return binary_source([(size, np.ones(count, dtype="<f4").tobytes()), (city, data)])


@pytest.mark.parametrize(
    ("source", "place", "code"),
    [
        (bytes_input(b""), "/inputs/1", "wrong_length"),
        (bytes_input(b"\x03\0\0\0Ul"), "/inputs/1", "wrong_length"),
        (bytes_input(b"\xff\xff\xff\xffUlm"), "/inputs/1", "wrong_length"),
        (bytes_input(texts(["Ulm", "Ulm"])), "/inputs/1", "wrong_length"),
        (bytes_input(texts(["Ulm"]), 2), "/inputs/1", "wrong_length"),
        (bytes_input(b"\x02\0\0\0\xc3\x28"), "/inputs/1", "bad_format"),
        (binary_source([({"name": "size", "datatype": "FP32", "shape": [2]}, bytes(7))]), "/inputs/0", "wrong_length"),
    ],
)
def test_binary_data_that_are_not_what_they_should_be_are_refused(source: InferSource, place: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        answer_to(source, BESIDE)

    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(place, code)]


def test_bytes_behind_the_last_input_and_a_header_beyond_the_body_are_refused() -> None:
    head = json.dumps({"inputs": [GOOD]}).encode()

    with pytest.raises(Invalid, match="belong to no input"):
        answer_to(InferSource(head + b"x", header_length=len(head)))
    with pytest.raises(Unparsable):
        answer_to(InferSource(head, header_length=len(head) + 1))
    with pytest.raises(Unparsable):
        answer_to(InferSource(head[:-1], header_length=None))


@pytest.mark.parametrize(
    ("type", "classes", "datatype"),
    [
        (StorageType.STRING, ["a", "b", "ü"], "BYTES"),
        (StorageType.INT64, [1, 2, 3], "INT64"),
        (StorageType.FLOAT64, [0.5, 1.5, 2.5], "FP64"),
        (StorageType.BOOL, [False, True], "BOOL"),
    ],
)
@pytest.mark.parametrize("binary", [True, False])
def test_a_label_has_the_type_that_metadata_tells_in_json_and_binary(
    type: StorageType, classes: list[Any], datatype: str, binary: bool
) -> None:
    stored = files(NUMERIC, FittedTarget(name="y", type=type, classes=classes), seed=1)
    source = infer_source([GOOD], parameters={"binary_data_output": binary})

    answer = written(source, stored, infer_writer(source))

    told = json.loads(written(json_source({"rows": [[1.0, 2.0], [3.0, 4.0]]}), stored).body)
    outputs = metadata(load(stored.content.__getitem__), name="m", versions=["1"])["outputs"]
    assert outputs == [
        {"name": "label", "datatype": datatype, "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(classes)]},
    ]
    assert answer.media_type == ("application/octet-stream" if binary else "application/json")
    found = read_answer(answer)
    assert found["label"].tolist() == told["predictions"]
    assert found["probabilities"].astype(np.float64).tolist() == told["probabilities"]


def test_outputs_come_as_and_in_the_order_they_were_asked_for() -> None:
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]
    source = infer_source([GOOD], outputs=wanted, id="mine")

    answer = written(source, STORED, infer_writer(source))

    head = json.loads(answer.body[: int(answer.headers["Inference-Header-Content-Length"])])
    assert (head["id"], head["model_name"], head["model_version"]) == ("mine", "m", "ckpt_1")
    assert [(output["name"], "data" in output) for output in head["outputs"]] == [("probabilities", False), ("label", True)]
    only = infer_source([GOOD], outputs=[{"name": "label"}])
    assert set(read_answer(written(only, STORED, infer_writer(only)))) == {"label"}


def test_a_regression_has_a_label_and_is_not_asked_for_probabilities() -> None:
    stored = files(NUMERIC, NUMBERS)
    source = infer_source([GOOD])

    assert set(read_answer(written(source, stored, infer_writer(source)))) == {"label"}
    with pytest.raises(Invalid) as caught:
        answer_to(infer_source([GOOD], outputs=[{"name": "label"}, {"name": "probabilities"}]), stored)
    assert [fault.pointer for fault in caught.value.faults] == ["/outputs/1/name"]


def test_several_targets_are_columns_of_the_label() -> None:
    several = FittedTargets(columns=[FittedTarget(name=name, type=StorageType.FLOAT64) for name in ("a", "b")])
    stored, source = files(NUMERIC, several), infer_source([GOOD], parameters={"binary_data_output": True})

    label = read_answer(written(source, stored, infer_writer(source)))["label"]

    told = json.loads(written(json_source({"rows": [[1.0, 2.0], [3.0, 4.0]]}), stored).body)
    assert label.tolist() == told["predictions"]
    assert metadata(load(stored.content.__getitem__), name="m", versions=[])["outputs"] == [
        {"name": "label", "datatype": "FP64", "shape": [-1, 2]}
    ]


def test_a_number_that_json_has_not_is_a_text() -> None:
    huge = FittedTarget(name="y", type=StorageType.FLOAT64, scale=1e308)
    source = infer_source([FEATURES | {"data": [1e6, -1e6, -1e6, 1e6]}])

    answer = json.loads(written(source, files(NUMERIC, huge), infer_writer(source)).body)

    assert {"Infinity", "-Infinity"} & {*answer["outputs"][0]["data"]}


def test_metadata_of_an_all_numeric_model_tells_of_one_tensor() -> None:
    columns: list[FittedColumn] = [*NUMERIC, NumericColumn(name="flag", type=StorageType.BOOL, kind="boolean", impute=0.0)]

    told = metadata(load(files(columns).content.__getitem__), name="iris", versions=["1", "2"])

    assert (told["name"], told["versions"], told["platform"]) == ("iris", ["1", "2"], "onnxruntime_onnx")
    assert told["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]


def test_metadata_of_other_models_tells_of_an_input_for_each_column() -> None:
    columns: list[FittedColumn] = [
        *MIXED,
        NumericColumn(name="flag", type=StorageType.BOOL, kind="boolean", impute=0.0),
        NumericColumn(name="count", type=StorageType.INT64, kind="numeric", impute=0.0),
        CategoricalColumn(name="code", type=StorageType.INT64, kind="categorical", levels=["7", "12"]),
        CategoricalColumn(name="member", type=StorageType.BOOL, kind="categorical", levels=["false", "true"]),
    ]
    stored = files(columns, LABELS)

    inputs = metadata(load(stored.content.__getitem__), name="m", versions=[])["inputs"]

    declared = {"size": "FP64", "city": "BYTES", "flag": "BOOL", "count": "FP64", "code": "INT64", "member": "BOOL"}
    assert inputs == [{"name": name, "datatype": type, "shape": [-1, 1]} for name, type in declared.items()]
    values: dict[str, Sequence[object]] = {"FP64": [1.5], "BYTES": ["Ulm"], "BOOL": [True], "INT64": [12]}
    source = infer_source([column(name, values[type], type, [1, 1]) for name, type in declared.items()])
    assert warnings_of(written(source, stored, infer_writer(source))) == []


def test_a_column_named_as_the_tensor_is_that_column() -> None:
    stored = files([NUMBER(name="features"), NUMBER(name="width")])
    source = infer_source([column("features", [1.0, 3.5]), column("width", [2.0, -4.0])])

    assert answer_to(source, stored) == labels_and_probabilities(written(json_source(ROWS), stored))
