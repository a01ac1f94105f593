"""An evaluation on a job's validation dataset tells what the job's history tells of that epoch."""

from typing import Any

import pytest

from tests.evaluation.yard import Yard, frame, with_gaps

CLASSES: dict[str, Any] = {"target": "level", "task": "multiclass"}
NUMBERS: dict[str, Any] = {"target": ["price", "mass"]}
NORMALIZED = {"hidden_layers": [6, 4], "dropout": 0.2, "activation": "gelu"}

JUMPING = {"optimizer": {"name": "adam", "learning_rate": 2.0}, "network": {"hidden_layers": []}, "epochs": 1}

CASES: dict[str, dict[str, Any]] = {
    "cross entropy": CLASSES,
    "label smoothing": {**CLASSES, "loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    "class weights": {**CLASSES, "class_weights": {"0": 3.0, "2": 0.5}},
    "balanced weights of classes and rows": {**CLASSES, "class_weights": "balanced", "sample_weight": "w"},
    "two classes as many": {"target": "grade", "task": "multiclass"},
    "two logits": {"target": "grade", "loss": {"name": "cross_entropy"}},
    "bce": {"target": "grade"},
    "balanced bce": {
        "target": "grade",
        "class_weights": "balanced",
        "early_stopping": {"metric": "val_roc_auc", "patience": 9},
    },
    "focal of classes": {**CLASSES, "loss": {"name": "focal", "gamma": 1.5}},
    "focal of two": {"target": "grade", "loss": {"name": "focal"}},
    "labels": {"target": ["ripe", "large"]},
    "focal of weighted labels": {"target": ["ripe", "large"], "loss": {"name": "focal"}, "sample_weight": "w"},
    "mse": {"target": "price"},
    "weighted mse": {"target": "price", "sample_weight": "w"},
    "l1": {"target": "price", "loss": {"name": "l1"}},
    "huber": {"target": "price", "loss": {"name": "huber", "delta": 20.0}},
    "quantile": {"target": "price", "loss": {"name": "quantile", "q": 0.8}},
    "poisson": {"target": "visits", "task": "regression", "loss": {"name": "poisson"}},
    "numbers as they are": {"target": "mass", "preprocessing": {"target": "none"}},
    "two numbers": NUMBERS,
    "clipped": {"target": "price", "clip_predictions": True, **JUMPING},
    "clipped counts": {
        "target": "visits",
        "task": "regression",
        "loss": {"name": "poisson"},
        "clip_predictions": True,
        **JUMPING,
        "early_stopping": {"metric": "val_mae", "patience": 9},
    },
    "two clipped": {**NUMBERS, "clip_predictions": True, **JUMPING},
    "huber of two": {**NUMBERS, "loss": {"name": "huber", "delta": 0.5}},
    "quantile of two": {**NUMBERS, "loss": {"name": "quantile", "q": 0.3}},
    "embeddings and indicators": {**CLASSES, "preprocessing": {"categorical": "embedding", "missing": "indicator"}},
    "clipped numbers and signs": {
        **CLASSES,
        "columns": {"flag": "categorical"},
        "preprocessing": {"numeric": "robust_clip", "categorical": "one_hot_signed", "missing": "median_indicator"},
    },
    "every part of a recipe for numbers": {
        "target": "price",
        "columns": {"flag": "categorical"},
        "preprocessing": {"numeric": "robust_clip", "categorical": "one_hot_signed", "missing": "median_indicator"},
        "network": {
            "hidden_layers": [5],
            "dropout": 0.2,
            "numeric_features": {"kind": "piecewise_linear", "bins": 4, "width": 2},
            "input_scaling": True,
            "parametrization": "ntk",
        },
        "optimizer": {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.02},
        "lr_schedule": {"name": "log_cosine"},
        "regularization_schedule": "flat_cosine",
        "early_stopping": {"patience": "cycle"},
        "ensemble": {"members": 2},
        "clip_predictions": True,
        "epochs": 15,
    },
    "ranks": {**CLASSES, "preprocessing": {"numeric": "quantile", "missing": "most_frequent"}},
    "batch normalization": {"target": "price", "network": {**NORMALIZED, "normalization": "batch"}},
    "layer normalization": {"target": "price", "network": {**NORMALIZED, "normalization": "layer"}},
    "no hidden layer": {"target": "price", "network": {"hidden_layers": []}},
}
IN_FLOAT32 = ("label smoothing", "balanced weights of classes and rows", "bce", "poisson", "huber of two", "labels")


@pytest.fixture(scope="module")
def datasets(yard: Yard) -> tuple[str, str]:
    """One to train on, and one with gaps to validate."""
    return yard.upload(frame(90)), yard.upload(with_gaps(frame(60, seed=1)))


def assert_same(yard: Yard, job: dict[str, Any], dataset: str, *, within: float) -> None:
    best, found = job["best"], yard.evaluate(job["id"], dataset)

    assert (found["epoch"], found["rows"]) == (best["epoch"], job["resolved_spec"]["validation_rows"])
    assert found["loss"] == pytest.approx(best["val_loss"], rel=within)
    assert {f"val_{name}" for name in found["metrics"]} == best["metrics"].keys()
    for name, value in found["metrics"].items():
        assert value == pytest.approx(best["metrics"][f"val_{name}"], rel=within, abs=within / 10), name


@pytest.mark.parametrize("case", CASES)
def test_in_float64_the_numbers_are_those_of_the_history_to_the_sixth_digit(
    yard: Yard, datasets: tuple[str, str], case: str
) -> None:
    training, validation = datasets
    job = yard.train(dataset=training, validation_dataset=validation, precision="fp64", **CASES[case])

    assert_same(yard, job, validation, within=1e-6)


@pytest.mark.parametrize("case", IN_FLOAT32)
def test_in_float32_to_the_fifth(yard: Yard, datasets: tuple[str, str], case: str) -> None:
    training, validation = datasets
    job = yard.train(dataset=training, validation_dataset=validation, **CASES[case])

    assert_same(yard, job, validation, within=1e-5)


def test_a_network_that_is_sure_is_told_as_in_its_history(yard: Yard, datasets: tuple[str, str]) -> None:
    training, validation = datasets
    steep = {"optimizer": {"name": "adam", "learning_rate": 300.0}, "network": {"hidden_layers": []}, "target": "grade"}
    job = yard.train(dataset=training, validation_dataset=validation, **steep)

    found = yard.evaluate(job["id"], validation, checkpoint="last")

    assert job["latest"]["val_loss"] > 5 * found["metrics"]["log_loss"]  # beyond what float32 tells of a probability
    assert found["loss"] == pytest.approx(job["latest"]["val_loss"], rel=1e-5)
    expected = {name.removeprefix("val_"): value for name, value in job["latest"]["metrics"].items()}
    assert found["metrics"] == pytest.approx(expected, rel=1e-5)


def test_a_loss_of_the_operator_s_is_not_told_and_its_metrics_are(yard: Yard, datasets: tuple[str, str]) -> None:
    training, validation = datasets
    spec = {**CLASSES, "loss": {"name": "custom:focal"}}
    job = yard.train(dataset=training, validation_dataset=validation, **spec)

    found = yard.evaluate(job["id"], validation)

    assert found["loss"] is None
    assert [warning["detail"] for warning in found["warnings"] if warning["code"] == "custom_loss"] == [
        "The loss custom:focal can be computed by workers alone."
    ]
    expected = {name.removeprefix("val_"): value for name, value in job["best"]["metrics"].items()}
    assert found["metrics"] == pytest.approx(expected, rel=1e-5)
