"""The metrics against scikit-learn, many epochs at once."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from app.domain import metrics
from app.domain.schema import Task
from worker.engine.metrics import evaluate

EPOCHS, ROWS, CLASSES = 3, 40, 4
Array = NDArray[np.float64]
Reference = Callable[[Array, Array, Array | None], float]

REFERENCES: dict[str, Reference] = {
    "accuracy": lambda y, p, w: sklearn_metrics.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: sklearn_metrics.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "f1": lambda y, p, w: sklearn_metrics.f1_score(
        y, p.argmax(1), sample_weight=w, average="binary" if p.shape[1] == 2 else "macro"
    ),
    "log_loss": lambda y, p, w: sklearn_metrics.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])),
    "roc_auc": lambda y, p, w: sklearn_metrics.roc_auc_score(
        y, p[:, 1] if p.shape[1] == 2 else p, sample_weight=w, multi_class="ovr"
    ),
    "brier": lambda y, p, w: sklearn_metrics.brier_score_loss(
        y, p[:, 1] if p.shape[1] == 2 else p, sample_weight=w, labels=range(p.shape[1])
    ),
    "rmse": lambda y, p, w: sklearn_metrics.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: sklearn_metrics.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: sklearn_metrics.r2_score(y, p, sample_weight=w),
}


def rounded_probabilities(classes: int, *, seed: int) -> torch.Tensor:
    """[E, n, classes] with many equal scores: ties are where definitions of a ranking differ."""
    logits = torch.randn(EPOCHS, ROWS, classes, generator=torch.Generator().manual_seed(seed))
    rounded = (logits.softmax(-1).double() * 10).round() + 0.1
    return rounded / rounded.sum(-1, keepdim=True)


def targets(classes: int, *, seed: int) -> torch.Tensor:
    """[n] class indices; every class occurs."""
    return torch.arange(ROWS)[torch.randperm(ROWS, generator=torch.Generator().manual_seed(seed))] % classes


def row_weights(weighted: bool) -> torch.Tensor | None:
    return torch.rand(ROWS, generator=torch.Generator().manual_seed(9)) + 0.1 if weighted else None


def as_numpy(weights: torch.Tensor | None) -> Array | None:
    return None if weights is None else weights.double().numpy()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", metrics.CLASSIFICATION)
@pytest.mark.parametrize("classes", [2, CLASSES])
def test_a_metric_of_probabilities_is_that_of_scikit_learn(classes: int, name: str, weighted: bool) -> None:
    p, y, w = rounded_probabilities(classes, seed=1), targets(classes, seed=2), row_weights(weighted)
    task = Task.BINARY if classes == 2 else Task.MULTICLASS

    found = evaluate(task, p, y, w, names=[name])[name]

    expected = [REFERENCES[name](y.numpy(), p[epoch].numpy(), as_numpy(w)) for epoch in range(EPOCHS)]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", metrics.CLASSIFICATION)
def test_one_probability_says_the_same_as_two(name: str) -> None:
    p, y = rounded_probabilities(2, seed=3), targets(2, seed=4)

    one = evaluate(Task.BINARY, p[..., 1:], y, None, names=[name])[name]

    assert one.tolist() == pytest.approx(evaluate(Task.BINARY, p, y, None, names=[name])[name].tolist(), abs=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", metrics.REGRESSION)
def test_a_metric_of_numbers_is_that_of_scikit_learn_in_the_units_of_the_target(name: str, weighted: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    trained, y = torch.randn(EPOCHS, ROWS, 1, generator=generator), torch.randn(ROWS, generator=generator)
    w = row_weights(weighted)

    found = evaluate(Task.REGRESSION, trained, y, w, center=100.0, scale=7.0, names=[name])[name]

    fitted, truth = trained[..., 0].double().numpy() * 7 + 100, y.double().numpy() * 7 + 100
    expected = [REFERENCES[name](truth, fitted[epoch], as_numpy(w)) for epoch in range(EPOCHS)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", metrics.REGRESSION)
def test_predictions_of_numbers_are_clipped_in_the_units_of_the_target(name: str) -> None:
    generator = torch.Generator().manual_seed(5)
    trained, y = torch.randn(EPOCHS, ROWS, 1, generator=generator), torch.randn(ROWS, generator=generator)

    found = evaluate(Task.REGRESSION, trained, y, None, center=100.0, scale=7.0, limits=(98.0, 101.0), names=[name])[name]

    fitted, truth = (trained[..., 0].double().numpy() * 7 + 100).clip(98, 101), y.double().numpy() * 7 + 100
    assert found.tolist() == pytest.approx([REFERENCES[name](truth, fitted[epoch], None) for epoch in range(EPOCHS)], rel=1e-6)


def test_without_names_every_metric_of_the_task_is_given() -> None:
    p, y = rounded_probabilities(CLASSES, seed=1), targets(CLASSES, seed=2)

    assert tuple(evaluate(Task.MULTICLASS, p, y, None)) == metrics.CLASSIFICATION
    assert tuple(evaluate(Task.REGRESSION, p[..., :1], y, None)) == metrics.REGRESSION


def test_each_epoch_is_told_apart_in_double_precision() -> None:
    p, y = rounded_probabilities(CLASSES, seed=1).float(), targets(CLASSES, seed=2)

    found = evaluate(Task.MULTICLASS, p, y, None)

    assert all(values.shape == (EPOCHS,) and values.dtype == torch.float64 for values in found.values())
    assert len(set(found["log_loss"].tolist())) == EPOCHS


def test_a_class_that_neither_occurs_nor_is_predicted_does_not_count() -> None:
    p = torch.tensor([[[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]])
    y = torch.tensor([0, 1, 1])

    found = evaluate(Task.MULTICLASS, p, y, None)

    assert found["f1"].item() == pytest.approx(REFERENCES["f1"](y.numpy(), p[0].numpy(), None))
    assert found["balanced_accuracy"].item() == pytest.approx(0.75)
    assert found["roc_auc"].isnan().all()


def test_roc_auc_is_undefined_where_only_one_class_occurs() -> None:
    found = evaluate(Task.BINARY, torch.rand(1, 5, 1), torch.ones(5), None, names=["roc_auc", "accuracy"])

    assert found["roc_auc"].isnan().all()
    assert found["accuracy"].isfinite().all()


def test_equal_probabilities_predict_the_first_class() -> None:
    y = torch.tensor([0, 0, 0, 1])

    one = evaluate(Task.BINARY, torch.full((1, 4, 1), 0.5), y, None)
    two = evaluate(Task.BINARY, torch.full((1, 4, 2), 0.5), y, None)

    assert one["accuracy"].tolist() == two["accuracy"].tolist() == [0.75]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_epoch_with_a_non_finite_output_has_no_metrics_and_leaves_the_others_theirs(bad: float) -> None:
    p, y = rounded_probabilities(CLASSES, seed=1), targets(CLASSES, seed=2)
    spoiled = p.clone()
    spoiled[1, 3, 2] = bad

    found, expected = evaluate(Task.MULTICLASS, spoiled, y, None), evaluate(Task.MULTICLASS, p, y, None)

    for name, values in found.items():
        assert values.isnan().tolist() == [False, True, False]
        assert values[[0, 2]].tolist() == expected[name][[0, 2]].tolist()


def test_a_certain_and_wrong_float32_probability_has_the_log_loss_of_scikit_learn() -> None:
    p = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float32)
    y = torch.tensor([1, 1])

    found = evaluate(Task.BINARY, p, y, None, names=["log_loss"])["log_loss"].item()

    assert found == pytest.approx(sklearn_metrics.log_loss(y.numpy(), p[0].numpy(), labels=[0, 1]), rel=1e-6)


def test_r2_of_one_row_is_undefined_and_of_a_constant_target_zero_or_one() -> None:
    constant = torch.ones(4)

    assert evaluate(Task.REGRESSION, torch.ones(1, 1, 1), torch.ones(1), None)["r2"].isnan().all()
    assert evaluate(Task.REGRESSION, torch.ones(1, 4, 1), constant, None)["r2"].tolist() == [1.0]
    assert evaluate(Task.REGRESSION, torch.zeros(1, 4, 1), constant, None)["r2"].tolist() == [0.0]


def test_no_rows_have_no_metrics() -> None:
    found = evaluate(Task.REGRESSION, torch.ones(2, 0, 1), torch.ones(0), None)

    assert all(values.isnan().all() for values in found.values())


def test_every_metric_but_the_ranking_is_for_every_epoch() -> None:
    assert set(metrics.CLASSIFICATION) - set(metrics.of_epochs(Task.MULTICLASS)) == {"roc_auc"}
    assert metrics.of_epochs(Task.REGRESSION) == metrics.REGRESSION
