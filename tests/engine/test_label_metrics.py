"""The metrics of several columns against scikit-learn: labels, and numbers with several outputs."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from app.domain import metrics
from app.domain.schema import Task
from tests.engine.test_metrics import REFERENCES, Array, as_numpy, row_weights
from worker.engine.metrics import evaluate

EPOCHS, ROWS, LABELS = 3, 40, 4


def probabilities() -> torch.Tensor:
    """[E, n, L] with many equal ones, none of them a half."""
    drawn = torch.rand(EPOCHS, ROWS, LABELS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (drawn * 10).round() / 11 + 0.02


def truth() -> torch.Tensor:
    """[n, L], each label seldom or often."""
    drawn = torch.rand(ROWS, LABELS, generator=torch.Generator().manual_seed(2))
    return (drawn < torch.tensor([0.2, 0.5, 0.6, 0.9])).long()


def mean_over_labels(name: str, y: Array, p: Array, w: Array | None) -> float:
    """scikit-learn's binary metric of each label, averaged."""
    columns = [REFERENCES[name](y[:, i], np.column_stack([1 - p[:, i], p[:, i]]), w) for i in range(LABELS)]
    return float(np.mean(columns))


def expected_of(name: str, y: Array, p: Array, w: Array | None) -> float:
    """What scikit-learn makes of all labels at once, where it can."""
    if name == "accuracy":
        return float(sklearn_metrics.accuracy_score(y, p > 0.5, sample_weight=w))
    if name == "f1":
        return float(sklearn_metrics.f1_score(y, p > 0.5, sample_weight=w, average="macro"))
    if name == "roc_auc":
        return float(sklearn_metrics.roc_auc_score(y, p, sample_weight=w, average="macro"))
    return mean_over_labels(name, y, p, w)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", metrics.CLASSIFICATION)
def test_a_metric_of_labels_is_that_of_scikit_learn(name: str, weighted: bool) -> None:
    p, y, w = probabilities(), truth(), row_weights(weighted)

    found = evaluate(Task.MULTILABEL, p, y, w, names=[name])[name]

    expected = [expected_of(name, y.numpy(), p[epoch].numpy(), as_numpy(w)) for epoch in range(EPOCHS)]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", metrics.REGRESSION)
def test_a_metric_of_several_numbers_is_that_of_scikit_learn_in_the_units_of_each(name: str, weighted: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    trained, y = torch.randn(EPOCHS, ROWS, 3, generator=generator), torch.randn(ROWS, 3, generator=generator)
    center, scale, w = np.array([100.0, 0.0, -5.0]), np.array([7.0, 0.01, 1000.0]), row_weights(weighted)

    found = evaluate(Task.REGRESSION, trained, y, w, center=center, scale=scale, names=[name])[name]

    fitted, expected_y = trained.double().numpy() * scale + center, y.double().numpy() * scale + center
    expected = [REFERENCES[name](expected_y, fitted[epoch], as_numpy(w)) for epoch in range(EPOCHS)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


def test_a_constant_column_has_the_r2_of_scikit_learn_beside_others() -> None:
    y = torch.tensor([[1.0, 0.0], [1.0, 2.0], [1.0, 4.0]])
    fitted = torch.tensor([[[1.0, 0.0], [1.0, 2.0], [1.0, 3.0]], [[1.0, 0.0], [2.0, 2.0], [1.0, 3.0]]])

    found = evaluate(Task.REGRESSION, fitted, y, None, names=["r2"])["r2"]

    assert found.tolist() == pytest.approx([sklearn_metrics.r2_score(y.numpy(), epoch.numpy()) for epoch in fitted])


def test_a_label_that_no_row_has_leaves_only_the_ranking_undefined() -> None:
    y = torch.tensor([[1, 0], [0, 0], [1, 0]])
    p = torch.tensor([[[0.9, 0.1], [0.2, 0.7], [0.8, 0.3]]])

    found = evaluate(Task.MULTILABEL, p, y, None)

    assert found["roc_auc"].isnan().all()
    assert found["accuracy"].item() == pytest.approx(2 / 3)
    assert found["balanced_accuracy"].item() == pytest.approx((1 + 2 / 3) / 2)
    assert found["f1"].item() == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_epoch_with_a_non_finite_output_has_no_metrics_of_labels(bad: float) -> None:
    spoiled: torch.Tensor = probabilities()
    spoiled[1, 3, 2] = bad

    found = evaluate(Task.MULTILABEL, spoiled, truth(), None)

    for values in found.values():
        assert values.isnan().tolist() == [False, True, False]


def test_a_certain_and_wrong_float32_label_has_the_log_loss_of_scikit_learn() -> None:
    p: NDArray[np.float32] = np.array([[1.0], [0.0]], dtype=np.float32)

    found = evaluate(Task.MULTILABEL, torch.from_numpy(p)[None], torch.tensor([[0], [0]]), None)["log_loss"].item()

    assert found == pytest.approx(sklearn_metrics.log_loss([0, 0], p[:, 0], labels=[0, 1]), rel=1e-6)


def test_no_rows_have_no_metrics_of_labels() -> None:
    found = evaluate(Task.MULTILABEL, torch.ones(2, 0, 3), torch.ones(0, 3), None)

    assert tuple(found) == metrics.CLASSIFICATION
    assert all(values.isnan().all() for values in found.values())


def test_every_metric_of_labels_but_the_ranking_is_for_every_epoch() -> None:
    assert set(metrics.CLASSIFICATION) - set(metrics.of_epochs(Task.MULTILABEL)) == {"roc_auc"}
