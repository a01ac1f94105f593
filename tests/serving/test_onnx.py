"""`model.onnx` gives what torch gives on the transformed columns, for every network that a spec can ask for."""

import json
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from app.domain.columns import FittedColumn, FittedTarget
from app.domain.schema import Level, StorageType, Task
from app.domain.spec import Activation, ResolvedSpec
from app.serving.predict import open_session
from app.tabular.preprocessing import transform
from tests.serving.checkpoints import COLUMNS, FRAME, LABELS, NUMBER, NUMBERS, TEXT, feed, network_of, resolved, state
from worker.engine.export import to_onnx, write_weights
from worker.engine.network import Weights

WIDTH = sum(column.width for column in COLUMNS)
TWO = FittedTarget(name="y", type=StorageType.BOOL, classes=[False, True])
COUNTS = FittedTarget(name="y", type=StorageType.INT64)

# The output activation of each task and loss, for the comparison.
TASKS: dict[str, tuple[Task, str, FittedTarget, int]] = {
    "multiclass": (Task.MULTICLASS, "cross_entropy", LABELS, 3),
    "one logit": (Task.BINARY, "bce", TWO, 1),
    "two logits": (Task.BINARY, "cross_entropy", TWO, 2),
    "regression": (Task.REGRESSION, "mse", NUMBERS, 1),
    "counts": (Task.REGRESSION, "poisson", COUNTS, 1),
}


def run(content: bytes, inputs: dict[str, NDArray[np.generic]]) -> list[NDArray[Any]]:
    outputs: list[NDArray[Any]] = open_session(content).run(None, inputs)
    return outputs


def logits(spec: ResolvedSpec, columns: Sequence[FittedColumn], frame: pl.DataFrame) -> torch.Tensor:
    """What torch computes from the transformed columns, float32 [n, out]."""
    with torch.no_grad():
        return torch.as_tensor(network_of(spec)(torch.from_numpy(transform(columns, frame)).float()))


def expected_answer(name: str, z: torch.Tensor) -> torch.Tensor:
    """Probabilities [n, classes], or the target [n] in its units."""
    if name in ("multiclass", "two logits"):
        return z.softmax(-1)
    if name == "one logit":
        return torch.cat([1 - z.sigmoid(), z.sigmoid()], -1)
    return z[:, 0].exp() if name == "counts" else z[:, 0] * NUMBERS.scale + NUMBERS.center


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("activation", get_args(Activation))
def test_onnx_equals_torch_for_every_network_and_task(activation: str, normalization: str, dropout: float) -> None:
    for name, (task, loss, target, outputs) in TASKS.items():
        network = {"activation": activation, "normalization": normalization, "dropout": dropout}
        spec = resolved(task=task, inputs=WIDTH, outputs=outputs, loss=loss, **network)

        found = run(to_onnx(columns=COLUMNS, target=target, spec=spec, weights=state(network_of(spec))), feed(COLUMNS, FRAME))

        expected = expected_answer(name, logits(spec, COLUMNS, FRAME)).numpy()
        np.testing.assert_allclose(found[-1], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden", [[], [4], [6, 5, 4]])
def test_onnx_equals_torch_for_every_depth_and_a_dropout_for_each_layer(hidden: list[int]) -> None:
    dropout = [0.1 * (index % 2) for index in range(len(hidden))]
    spec = resolved(inputs=WIDTH, outputs=3, loss="cross_entropy", hidden_layers=hidden, dropout=dropout, normalization="batch")

    _, p = run(to_onnx(columns=COLUMNS, target=LABELS, spec=spec, weights=state(network_of(spec))), feed(COLUMNS, FRAME))

    np.testing.assert_allclose(p, logits(spec, COLUMNS, FRAME).softmax(-1).numpy(), atol=1e-5)


def onnx_of(columns: Sequence[FittedColumn], target: FittedTarget = LABELS) -> bytes:
    inputs = sum(column.width for column in columns)
    classes = len(target.classes or ())
    task, loss = (Task.MULTICLASS, "cross_entropy") if classes else (Task.REGRESSION, "mse")
    spec = resolved(task=task, inputs=inputs, outputs=classes or 1, loss=loss)
    return to_onnx(columns=columns, target=target, spec=spec, weights=state(network_of(spec)))


@pytest.mark.parametrize("index", range(len(COLUMNS)))
def test_each_column_alone_is_a_whole_model(index: int) -> None:
    columns = COLUMNS[index : index + 1]
    spec = resolved(inputs=columns[0].width, outputs=3, loss="cross_entropy")

    _, p = run(onnx_of(columns), feed(columns, FRAME))

    np.testing.assert_allclose(p, logits(spec, columns, FRAME).softmax(-1).numpy(), atol=1e-5)


def test_an_all_numeric_model_has_one_input_and_the_label_comes_first() -> None:
    session = open_session(onnx_of([NUMBER(name="a"), NUMBER(name="b")]))

    assert [(put.name, put.type, put.shape) for put in session.get_inputs()] == [("features", "tensor(double)", ["n", 2])]
    assert [(put.name, put.type, put.shape) for put in session.get_outputs()] == [
        ("label", "tensor(string)", ["n"]),
        ("probabilities", "tensor(float)", ["n", 3]),
    ]


def test_each_categorical_column_is_an_input_of_texts() -> None:
    session = open_session(onnx_of([TEXT(name="city", levels=["Bonn"]), NUMBER(name="a"), TEXT(name="grade", levels=["A"])]))

    assert [(put.name, put.type, put.shape) for put in session.get_inputs()] == [
        ("features", "tensor(double)", ["n", 1]),
        ("city", "tensor(string)", ["n", 1]),
        ("grade", "tensor(string)", ["n", 1]),
    ]


@pytest.mark.parametrize(
    ("stored", "classes", "numpy_type"),
    [
        (StorageType.INT64, [-5, 0, 2**60], np.int64),
        (StorageType.FLOAT64, [0.5, 1.5, 2.0], np.float64),
        (StorageType.BOOL, [False, True], np.bool_),
        (StorageType.STRING, ["eins", "zwei", "dräi"], np.object_),
    ],
)
def test_labels_have_the_type_of_the_target(stored: StorageType, classes: list[Level], numpy_type: type) -> None:
    columns, target = [NUMBER(name="a", scale=1.0)], FittedTarget(name="y", type=stored, classes=classes)

    label, p = run(onnx_of(columns, target), {"features": np.linspace(-9, 9, 50)[:, None]})

    assert label.dtype == numpy_type
    assert label.tolist() == [classes[best] for best in p.argmax(1)]
    assert len(set(label.tolist())) > 1


def test_a_regression_answers_doubles_and_no_probabilities() -> None:
    (label,) = run(onnx_of([NUMBER(name="a")], NUMBERS), {"features": np.zeros((3, 1))})

    assert label.dtype == np.float64
    assert label.shape == (3,)


@pytest.mark.parametrize("loss", ["mse", "poisson"])
def test_predictions_lie_within_the_range_of_the_target(loss: str) -> None:
    columns, cells = [NUMBER(name="a")], np.linspace(-9, 9, 200)[:, None]
    spec = resolved(task=Task.REGRESSION, inputs=1, outputs=1, loss=loss)
    weights = state(network_of(spec))
    (free,) = run(to_onnx(columns=columns, target=NUMBERS, spec=spec, weights=weights), {"features": cells})
    low, high = np.quantile(free, (0.3, 0.6)).tolist()

    target = NUMBERS.model_copy(update={"minimum": low, "maximum": high})
    (label,) = run(to_onnx(columns=columns, target=target, spec=spec, weights=weights), {"features": cells})

    assert label.tolist() == free.clip(low, high).tolist()
    assert len(set(label.tolist())) > 10


def test_a_missing_value_counts_as_the_imputed_one() -> None:
    columns = [NUMBER(name="a", impute=5.1, center=3.0, scale=0.7)]

    _, p = run(onnx_of(columns), {"features": np.array([[np.nan], [5.1], [0.0]])})

    assert p[0].tolist() == p[1].tolist() != p[2].tolist()


def test_an_unseen_category_is_no_level_and_a_missing_one_has_its_indicator() -> None:
    columns = [TEXT(name="city", levels=["Bonn", "Ulm"], indicator=True)]
    texts = np.array([["Oslo"], ["Rom"], [""], ["Bonn"]], dtype=object)

    _, p = run(onnx_of(columns), {"city": texts})

    assert p[0].tolist() == p[1].tolist()
    assert len({tuple(row) for row in p.tolist()}) == 3


def test_an_empty_text_is_a_level_where_training_had_it_as_one() -> None:
    columns = [TEXT(name="city", levels=["", "Bonn"], indicator=True)]
    frame = pl.DataFrame({"city": ["", "Bonn", "Oslo"]})

    _, p = run(onnx_of(columns), feed(columns, frame))

    spec = resolved(inputs=3, outputs=3, loss="cross_entropy")
    np.testing.assert_allclose(p, logits(spec, columns, frame).softmax(-1).numpy(), atol=1e-5)


def test_a_constant_column_contributes_nothing() -> None:
    columns = [NUMBER(name="a"), NUMBER(name="constant", center=9.0, scale=0.0)]

    _, p = run(onnx_of(columns), {"features": np.array([[1.0, 9.0], [1.0, -50.0], [1.0, np.nan]])})

    assert p[0].tolist() == p[1].tolist() == p[2].tolist()


def test_numbers_that_differ_beyond_single_precision_are_told_apart_before_they_are_scaled() -> None:
    columns = [NUMBER(name="seconds", center=1.7e9, scale=1.0)]

    _, p = run(onnx_of(columns), {"features": np.array([[1.7e9], [1.7e9 + 1]])})

    assert p[0].tolist() != p[1].tolist()


def test_numbers_are_clipped_in_model_onnx_as_in_training() -> None:
    columns: list[FittedColumn] = [NUMBER(name="a", center=0.7, scale=1.3, clip=3.0)]
    spec = resolved(task=Task.REGRESSION, inputs=1, outputs=1, loss="mse", hidden_layers=[])
    weights: Weights = {"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)}
    cells = np.concatenate([np.random.default_rng(0).normal(scale=9.0, size=2000), [-1e300, 1e300, 1e9, 0.7]])

    target = FittedTarget(name="y", type=StorageType.FLOAT64)
    (label,) = run(to_onnx(columns=columns, target=target, spec=spec, weights=weights), {"features": cells[:, None]})

    expected = transform(columns, pl.DataFrame({"a": cells}))[:, 0]
    assert label.tolist() == expected.astype(np.float32).tolist()
    assert expected[-4:].tolist() == [-3.0, 3.0, pytest.approx(3.0), 0.0]


def test_columns_named_like_tensors_get_names_of_their_own() -> None:
    columns: list[FittedColumn] = [
        TEXT(name=name, levels=["A"]) for name in ("features", "label", "probabilities", "", "weight", "gemm", "_")
    ]

    session = open_session(onnx_of([*columns, NUMBER(name="features_")]))

    names = [put.name for put in session.get_inputs()]
    assert names == ["features", "features_", "label_", "probabilities_", "_", "weight", "gemm", "__"]


def test_the_file_says_what_the_features_and_classes_are() -> None:
    columns: list[FittedColumn] = [NUMBER(name="b"), TEXT(name="city", levels=["Bonn"]), NUMBER(name="a")]

    facts = open_session(onnx_of(columns)).get_modelmeta().custom_metadata_map

    assert json.loads(facts["features"]) == ["b", "a"]
    assert json.loads(facts["classes"]) == ["a", "b", "c"]


def test_weights_of_double_precision_give_a_model_too() -> None:
    columns = [NUMBER(name="a")]
    spec = resolved(inputs=1, outputs=3, loss="cross_entropy")
    weights: Weights = {name: values.astype(np.float64) for name, values in state(network_of(spec)).items()}

    assert to_onnx(columns=columns, target=LABELS, spec=spec, weights=weights) == onnx_of(columns)


def test_the_bytes_of_a_checkpoint_are_a_function_of_its_weights() -> None:
    weights = state(network_of(resolved(inputs=2, outputs=3, loss="cross_entropy", normalization="batch")))
    turned = {name: np.asfortranarray(values) for name, values in reversed(weights.items())}

    assert write_weights(weights) == write_weights(turned)
    assert onnx_of(COLUMNS) == onnx_of(COLUMNS)
