"""Numeric features from raw columns: the inputs of training, `model.onnx`, and the network that was trained agree."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from app.domain.columns import Bins, CategoricalColumn, FittedColumn, FittedTarget, NumericColumn, Waves
from app.domain.schema import StorageType
from app.tabular.numeric_features import STREAM
from app.tabular.preprocessing import fit, transform
from tests.serving.checkpoints import COLUMNS, FRAME, LABELS, NUMBER, TEXT, embedding, feed, network_of, resolved, state
from tests.serving.test_onnx import run
from tests.tabular.specs import described
from tests.tabular.specs import resolved as resolved_for
from worker.engine.data import Member, MemberArrays
from worker.engine.export import to_onnx
from worker.engine.stack import Stack

BINS, WAVES = Bins(knots=[-2.0, -0.5, -0.5, 0.25, 3.0]), Waves(frequencies=[0.3, -1.5, 0.0], phases=[1.0, -2.0, 0.5])
FEATURES = {"size": BINS, "rank": WAVES, "gap": BINS.model_copy(update={"knots": [0.0, 0.0, 1.0]}), "constant": WAVES}
NUMBERS_OF_ALL_KINDS: list[FittedColumn] = [
    column.model_copy(update={"features": FEATURES.get(column.name)}) if isinstance(column, NumericColumn) else column
    for column in COLUMNS
]


def test_features_stand_behind_all_inputs_but_the_embedded_ones() -> None:
    columns: list[FittedColumn] = [
        NUMBER(name="size", impute=1.5, center=2.0, scale=0.5, features=BINS),
        TEXT(name="city", levels=["Bonn", "Köln", "Ulm"], embedding=2),
        NUMBER(name="gap", impute=-1.0, indicator=True, features=WAVES),
    ]

    x = transform(columns, FRAME)

    z, gap = (FRAME["size"].fill_nan(None).fill_null(1.5).to_numpy() - 2) * 0.5, FRAME["gap"].fill_null(-1.0).to_numpy()
    assert x.shape == (5, 1 + 2 + 4 + 3 + 1)
    np.testing.assert_array_equal(x[:, 0], z)
    np.testing.assert_allclose(x[:, 3], np.clip((z + 2) / 1.5, 0, 1))
    assert not x[:, 4].any()  # a bin without width
    np.testing.assert_allclose(x[:, 6], np.clip((z - 0.25) / 2.75, 0, 1))
    np.testing.assert_allclose(x[:, 8], np.cos(2 * np.pi * gap * -1.5 - 2.0))
    np.testing.assert_array_equal(x[:, 10], [1, 0, 2, 0, 3])


@pytest.mark.parametrize("embedded", [False, True])
def test_onnx_makes_the_features_that_training_had(embedded: bool) -> None:
    columns: list[FittedColumn] = [
        column.model_copy(update={"embedding": 2}) if embedded and isinstance(column, CategoricalColumn) else column
        for column in NUMBERS_OF_ALL_KINDS
    ]
    inputs = sum(column.width for column in columns)
    spec = embedding(resolved(inputs=inputs, outputs=3, loss="cross_entropy"), columns)
    network = network_of(spec)

    _, p = run(to_onnx(columns=columns, target=LABELS, spec=spec, weights=state(network)), feed(columns, FRAME))

    expected = network(torch.from_numpy(transform(columns, FRAME)).float()).softmax(-1)
    np.testing.assert_allclose(p, expected.detach(), atol=1e-5)


def frame(rows: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    a, b = rng.exponential(size=rows), rng.integers(0, 3, rows).astype(float)
    gaps = [None if number < 0.2 else number for number in rng.random(rows)]
    columns = {"a": a, "b": b, "gaps": gaps, "flag": rng.random(rows) < 0.5, "kind": rng.choice(["x", "y", "z"], rows)}
    return pl.DataFrame(columns | {"y": np.sin(3 * a) + b})


KINDS: list[dict[str, Any]] = [
    {"kind": "piecewise_linear", "bins": 4, "width": 2},
    {"kind": "periodic", "frequencies": 5, "sigma": 0.5},
]


@pytest.mark.parametrize("features", KINDS, ids=lambda kind: kind["kind"])
@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_what_was_trained_on_raw_columns_is_what_onnx_answers(numeric: str, features: dict[str, Any]) -> None:
    rows = frame()
    network = {"numeric_features": features, "input_scaling": True, "parametrization": "ntk", "initialization": "data_driven"}
    fields: dict[str, Any] = {"network": network | {"hidden_layers": [6]}, "epochs": 5}
    preprocessing = {"numeric": numeric, "missing": "indicator", "target": "none"}
    spec = resolved_for(rows, preprocessing=preprocessing, **fields).spec
    columns = fit(spec, described(rows), rows[:40])
    x, y = transform(columns, rows), rows["y"].to_numpy()
    spec = spec.model_copy(update={"train_rows": 40, "validation_rows": 20})
    arrays = MemberArrays(x_train=x[:40], y_train=y[:40], x_val=x[40:], y_val=y[40:])
    stack = Stack([Member(spec=spec, arrays=arrays)], dtype=torch.float64)
    for _ in stack.train():
        pass

    target = FittedTarget(name="y", type=StorageType.FLOAT64)
    content = to_onnx(columns=columns, target=target, spec=spec, weights=stack.weights(0, "last"))
    [answers] = run(content, feed(columns, rows))

    assert spec.numeric_feature_columns == ["a", "b", "gaps"]
    assert [column.name for column in columns if isinstance(column, NumericColumn) and column.features] == ["a", "b", "gaps"]
    loss, _ = stack.evaluate(0, "validation", "last")
    np.testing.assert_allclose(np.mean((answers[40:] - y[40:]) ** 2), loss, rtol=1e-4)


def test_bins_are_between_quantiles_of_the_scaled_training_values() -> None:
    rows = frame()
    spec = resolved_for(rows, network={"numeric_features": KINDS[0]}).spec
    column = fit(spec, described(rows), rows[:40])[0]
    assert isinstance(column, NumericColumn)
    assert isinstance(column.features, Bins)
    a = rows["a"][:40].to_numpy()
    np.testing.assert_allclose(column.features.knots, np.quantile((a - a.mean()) / a.std(), [0, 0.25, 0.5, 0.75, 1]))


def test_frequencies_are_drawn_from_the_seed_for_each_column() -> None:
    rows = frame()
    drawn = []
    for seed in (1, 2):
        spec = resolved_for(rows, seed=seed, network={"numeric_features": {"kind": "periodic", "frequencies": 1000}}).spec
        fitted = fit(spec, described(rows), rows[:40])
        drawn += [column.features for column in fitted if isinstance(column, NumericColumn) and column.features]
        assert fit(spec, described(rows), rows[:40]) == fitted
    assert STREAM
    assert len({str(one) for one in drawn}) == 6
    for waves in drawn:
        assert isinstance(waves, Waves)
        assert abs(np.std(waves.frequencies) - 0.1) < 0.01
        assert abs(np.mean(waves.frequencies)) < 0.01
        assert abs(np.std(waves.phases) - np.pi / 3**0.5) < 0.1
        assert np.abs(waves.phases).max() <= np.pi
