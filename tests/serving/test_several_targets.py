"""A checkpoint of a target of several columns: `model.onnx` as torch has it, `model.json`, and the answers."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from app.domain.columns import AnyTarget, FittedColumn, FittedTarget, FittedTargets
from app.domain.manifest import Manifest
from app.domain.schema import StorageType, Task
from app.serving.predict import open_session
from app.tabular.preprocessing import transform
from tests.serving.asking import Answer, answered
from tests.serving.checkpoints import COLUMNS, FRAME, NUMBER, feed, files, network_of, resolved, state
from worker.engine.export import to_onnx

WIDTH = sum(column.width for column in COLUMNS)
FEATURES: list[FittedColumn] = [NUMBER(name="length"), NUMBER(name="width")]
YES_NO = partial(FittedTarget, type=StorageType.BOOL, classes=[False, True])
TWO = FittedTargets(columns=[YES_NO(name="red"), YES_NO(name="round")])
NUMBERS = FittedTargets(
    columns=[
        FittedTarget(name="price", type=StorageType.FLOAT64, center=50.0, scale=4.0),
        FittedTarget(name="count", type=StorageType.INT64, center=-1e6, scale=1e3),
        FittedTarget(name="share", type=StorageType.FLOAT64, scale=0.01),
    ]
)


def predict(rows: list[list[float]], target: AnyTarget, *, seed: int = 0) -> Answer:
    return answered({"rows": rows}, columns=FEATURES, target=target, seed=seed)


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("loss", ["mse", "poisson"])
def test_numbers_are_those_of_torch_in_the_units_of_each_column(loss: str, normalization: str) -> None:
    target = NUMBERS if loss == "mse" else FittedTargets(columns=[NUMBERS.columns[2].model_copy(update={"scale": 1.0})] * 3)
    spec = resolved(task=Task.REGRESSION, inputs=WIDTH, outputs=3, loss=loss, target=target.name, normalization=normalization)
    network = network_of(spec)

    session = open_session(to_onnx(columns=COLUMNS, target=target, spec=spec, weights=state(network)))
    (label,) = session.run(None, feed(COLUMNS, FRAME))

    z = network(torch.from_numpy(transform(COLUMNS, FRAME)).float()).detach().double()
    expected = (z.exp() if loss == "poisson" else z).numpy() * np.array(target.scale) + np.array(target.center)
    np.testing.assert_allclose(label, expected, rtol=1e-5, atol=1e-5)
    assert [(put.name, put.type, put.shape) for put in session.get_outputs()] == [("label", "tensor(double)", ["n", 3])]


def test_numbers_lie_within_the_range_of_each_column() -> None:
    spec = resolved(task=Task.REGRESSION, inputs=WIDTH, outputs=3, loss="mse", target=NUMBERS.name)
    network = network_of(spec)
    free = network(torch.from_numpy(transform(COLUMNS, FRAME)).float()).detach().double().numpy()
    free = free * np.array(NUMBERS.scale) + np.array(NUMBERS.center)
    ends = [{"minimum": low, "maximum": high} for low, high in np.quantile(free, (0.3, 0.7), axis=0).T.tolist()]
    target = FittedTargets(columns=[one.model_copy(update=two) for one, two in zip(NUMBERS.columns, ends, strict=True)])

    session = open_session(to_onnx(columns=COLUMNS, target=target, spec=spec, weights=state(network)))

    (label,) = session.run(None, feed(COLUMNS, FRAME))
    np.testing.assert_allclose(label, free.clip(*np.array([list(end.values()) for end in ends]).T), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_labels_are_those_of_torch_and_the_likely_ones_are_named(loss: str) -> None:
    spec = resolved(task=Task.MULTILABEL, inputs=WIDTH, outputs=2, loss=loss, target=TWO.name)
    network = network_of(spec)

    session = open_session(to_onnx(columns=COLUMNS, target=TWO, spec=spec, weights=state(network)))
    label, p = session.run(None, feed(COLUMNS, FRAME))

    expected = network(torch.from_numpy(transform(COLUMNS, FRAME)).float()).sigmoid().detach().numpy()
    np.testing.assert_allclose(p, expected, atol=1e-5)
    assert label.tolist() == (p > 0.5).tolist()
    assert [(put.name, put.type, put.shape) for put in session.get_outputs()] == [
        ("label", "tensor(bool)", ["n", 2]),
        ("probabilities", "tensor(float)", ["n", 2]),
    ]
    facts = session.get_modelmeta().custom_metadata_map
    assert (json.loads(facts["target"]), json.loads(facts["classes"])) == (["red", "round"], ["red", "round"])


def test_an_answer_has_a_list_of_numbers_for_each_row() -> None:
    told = predict([[1.0, 2.0], [-3.0, 0.5]], NUMBERS)

    assert [[type(number) for number in row] for row in told["predictions"]] == [[float] * 3] * 2
    assert [row[1] < -9e5 for row in told["predictions"]] == [True, True]
    assert (told["probabilities"], told["classes"]) == (None, None)


def test_an_answer_has_labels_and_how_probable_each_is() -> None:
    rows = [[-40.0, 3.0], [40.0, -3.0], [0.0, 9.0]]

    told = predict(rows, TWO, seed=1)

    assert told["classes"] == ["red", "round"]
    assert told["predictions"] == [[p > 0.5 for p in row] for row in told["probabilities"]]
    assert {label for row in told["predictions"] for label in row} == {True, False}
    assert predict(rows[::-1], TWO, seed=1)["predictions"] == told["predictions"][::-1]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ([StorageType.INT64, StorageType.INT64], int),
        ([StorageType.FLOAT64, StorageType.FLOAT64], float),
        ([StorageType.BOOL, StorageType.INT64], bool),
    ],
)
def test_labels_have_the_type_that_their_columns_share(types: list[StorageType], expected: type) -> None:
    columns = [FittedTarget(name=f"y{i}", type=type, classes=[0, 1]) for i, type in enumerate(types)]

    told = predict([[1.0, 2.0]], FittedTargets(columns=columns))

    assert [type(label) for label in told["predictions"][0]] == [expected] * 2


def test_a_number_beyond_double_precision_is_told_as_infinity_in_its_place() -> None:
    huge = FittedTarget(name="huge", type=StorageType.FLOAT64, center=1.7e308, scale=1e308)

    told = predict([[9.0, 9.0], [-90.0, 90.0]], FittedTargets(columns=[NUMBERS.columns[0], huge]))["predictions"]

    assert [isinstance(row[0], float) for row in told] == [True, True]
    assert told[1][1] == "-Infinity"


@pytest.mark.parametrize("target", [NUMBERS, TWO], ids=["numbers", "labels"])
def test_the_description_carries_each_column(target: FittedTargets) -> None:
    written = files(FEATURES, target).content["model.json"]

    told = json.loads(written)["target"]["columns"]
    assert [column["name"] for column in told] == target.name
    assert [(column["center"], column["scale"]) for column in told] == list(zip(target.center, target.scale, strict=True))
    assert Manifest.model_validate_json(written).target == target


def test_the_description_of_one_target_is_as_it_was() -> None:
    one = FittedTarget(name="y", type=StorageType.FLOAT64, center=1.0, scale=2.0)

    told = json.loads(files(FEATURES, one).content["model.json"])["target"]

    assert told == {
        "name": "y",
        "type": "float64",
        "classes": None,
        "center": 1.0,
        "scale": 2.0,
        "minimum": None,
        "maximum": None,
    }
