"""Losses and metrics of rows that come in pieces, against the plainest definitions of them."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain import metrics
from app.domain.schema import Task
from app.evaluation.evaluation import Evaluation
from tests.engine.plain import spec_of
from tests.engine.test_metrics import REFERENCES

Array = NDArray[Any]
LABELS = ["ripe", "large"]


def evaluated(
    spec: Any,
    z: Array,
    y: Array,
    w: Array | None = None,
    *,
    pieces: int = 4,
    scale: Array | None = None,
    limits: tuple[Array, Array] | None = None,
) -> Evaluation:
    """All rows, in so many pieces."""
    found = Evaluation(spec, scale=np.ones(z.shape[1]) if scale is None else scale, limits=limits, rows=len(y))
    for start, stop in pairwise(np.linspace(0, len(y), pieces + 1).astype(int)):
        found.add(z[start:stop], y[start:stop], None if w is None else w[start:stop])
    return found


def drawn(rows: int, outputs: int, *, seed: int = 0) -> tuple[Array, Array]:
    """Logits with many equal ones, for ties are where definitions of a ranking differ; and weights, one of them 0."""
    random = np.random.default_rng(seed)
    w = random.uniform(0.1, 2.0, rows)
    w[3] = 0
    return random.normal(size=(rows, outputs)).round(1), w


def softmax(z: Array) -> Array:
    return np.array([[math.exp(a) / sum(map(math.exp, row)) for a in row] for row in z.tolist()])


def pairs_won(p: Array, positive: Array, w: Array) -> float:
    """Each pair of a positive and a negative row by itself."""
    won = total = 0.0
    for i in np.flatnonzero(positive):
        for j in np.flatnonzero(~positive):
            total += w[i] * w[j]
            won += w[i] * w[j] * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    return won / total


def f1(called: Array, truth: Array, w: Array) -> float:
    hits = w @ (called & truth)
    return float(2 * hits / (w @ called + w @ truth))


def recalls(called: Array, y: Array, w: Array) -> list[float]:
    return [float(w @ ((called == c) & (y == c)) / (w @ (y == c))) for c in np.unique(y)]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_classes(weighted: bool) -> None:
    z, w = drawn(40, 3)
    y, w = np.arange(40) % 3, w if weighted else np.ones(40)
    p, total = softmax(z), w.sum()
    called, truth = p.argmax(1), np.eye(3)[y]

    found = evaluated(spec_of(precision="fp64"), z, y, w if weighted else None)

    assert found.metrics() == pytest.approx(
        {
            "accuracy": w @ (called == y) / total,
            "balanced_accuracy": mean(recalls(called, y, w)),
            "f1": mean([f1(called == c, y == c, w) for c in range(3)]),
            "log_loss": -(w @ np.log(p[np.arange(40), y])) / total,
            "roc_auc": mean([pairs_won(z_of(p, c), y == c, w) for c in range(3)]),
            "brier": w @ ((p - truth) ** 2).sum(1) / total,
        },
        rel=1e-12,
    )
    assert found.loss == pytest.approx(found.metrics()["log_loss"], rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_of_classes_that_come_in_pieces_are_those_of_scikit_learn(classes: int, weighted: bool) -> None:
    z, (_, w) = np.random.default_rng(3).normal(size=(60, classes)), drawn(60, 1)
    y, weights = np.arange(60) % classes, w if weighted else None
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    spec = spec_of(precision="fp64", outputs=classes).model_copy(update={"task": task, "classes": [*range(classes)]})

    found = evaluated(spec, z, y, weights, pieces=7).metrics()

    expected = {name: REFERENCES[name](y.astype(float), softmax(z), weights) for name in metrics.CLASSIFICATION}
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("limits", [None, (-0.5, 0.7)], ids=["free", "clipped"])
def test_metrics_of_numbers_that_come_in_pieces_are_those_of_scikit_learn(
    limits: tuple[float, float] | None, weighted: bool
) -> None:
    z, w = drawn(60, 1, seed=4)
    y, scale, weights = z[::-1, 0] + 0.3, np.array([7.0]), w if weighted else None
    ends = limits and (np.array([limits[0]]), np.array([limits[1]]))

    found = evaluated(spec_of(loss={"name": "mse"}), z, y, weights, pieces=7, scale=scale, limits=ends).metrics()

    fitted = (z if limits is None else z.clip(*limits))[:, 0] * 7
    assert found == pytest.approx({name: REFERENCES[name](y * 7, fitted, weights) for name in metrics.REGRESSION}, rel=1e-6)


def z_of(p: Array, c: int) -> Array:
    """Rounded, so that equal probabilities are equal however they were computed."""
    return p[:, c].round(12)


@pytest.mark.parametrize("outputs", [1, 2])
def test_metrics_of_two_classes_whether_they_have_one_logit_or_two(outputs: int) -> None:
    z, w = drawn(40, 1, seed=1)
    y, p = (np.arange(40) % 5 > 2).astype(np.int64), 1 / (1 + np.exp(-z[:, 0]))
    called, total = p > 0.5, w.sum()
    spec = spec_of(precision="fp64", loss={"name": "focal", "gamma": 0.0}, outputs=outputs, task="binary", classes=[0, 1])

    found = evaluated(spec, z if outputs == 1 else np.column_stack([np.zeros(40), z]), y, w)

    assert found.metrics() == pytest.approx(
        {
            "accuracy": w @ (called == y) / total,
            "balanced_accuracy": mean(recalls(called.astype(int), y, w)),
            "f1": f1(called, y == 1, w),
            "log_loss": -(w @ np.log(np.where(y == 1, p, 1 - p))) / total,
            "roc_auc": pairs_won(p.round(12), y == 1, w),
            "brier": w @ (p - y) ** 2 / total,
        },
        rel=1e-12,
    )
    assert found.loss == pytest.approx(found.metrics()["log_loss"], rel=1e-12)


def test_metrics_of_labels_are_means_over_them_but_for_the_accuracy() -> None:
    z, w = drawn(40, 2, seed=2)
    y, p = np.column_stack([np.arange(40) % 3 == 0, np.arange(40) % 4 > 1]).astype(np.int64), 1 / (1 + np.exp(-z))
    called, total = p > 0.5, w.sum()

    found = evaluated(spec_of(precision="fp64", loss={"name": "bce"}, target=LABELS), z, y, w)

    assert found.metrics() == pytest.approx(
        {
            "accuracy": w @ (called == y).all(1) / total,
            "balanced_accuracy": mean([mean(recalls(called[:, i].astype(int), y[:, i], w)) for i in range(2)]),
            "f1": mean([f1(called[:, i], y[:, i] == 1, w) for i in range(2)]),
            "log_loss": -(w @ np.log(np.where(y == 1, p, 1 - p)).mean(1)) / total,
            "roc_auc": mean([pairs_won(p[:, i].round(12), y[:, i] == 1, w) for i in range(2)]),
            "brier": w @ ((p - y) ** 2).mean(1) / total,
        },
        rel=1e-12,
    )


def test_metrics_of_numbers_are_means_over_the_columns_in_their_units() -> None:
    z, w = drawn(40, 2, seed=3)
    y = z + np.random.default_rng(4).normal(size=(40, 2)) + 1e6
    scale, total = np.array([50.0, 0.01]), w.sum()
    residual = (z - y) * scale
    spread = w @ (y - w @ y / total) ** 2 / total

    found = evaluated(spec_of(loss={"name": "mse"}, target=["price", "mass"]), z, y, w, scale=scale)

    mse = w @ residual**2 / total
    assert found.metrics() == pytest.approx(
        {
            "rmse": np.sqrt(mse).mean(),
            "mae": (w @ np.abs(residual) / total).mean(),
            "r2": (1 - mse / scale**2 / spread).mean(),
        },
        rel=1e-9,
    )
    assert found.loss == pytest.approx(mse.mean(), rel=1e-12)


def test_what_is_undefined_is_no_number() -> None:
    z, _ = drawn(6, 3)
    one_class = evaluated(spec_of(), z, np.ones(6, np.int64)).metrics()
    one_row = evaluated(spec_of(loss={"name": "mse"}), z[:1, :1], np.zeros(1), pieces=1).metrics()
    never_yes = np.column_stack([np.zeros(6), np.arange(6) % 2]).astype(np.int64)
    labels = evaluated(spec_of(loss={"name": "bce"}, target=LABELS), z[:, :2], never_yes).metrics()

    assert [name for name, value in one_class.items() if math.isnan(value)] == ["roc_auc"]
    assert [name for name, value in one_row.items() if math.isnan(value)] == ["r2"]
    assert [name for name, value in labels.items() if math.isnan(value)] == ["roc_auc"]


@pytest.mark.parametrize(("miss", "r2"), [(0.0, 1.0), (0.5, 0.0)])
def test_a_constant_target_is_met_or_not(miss: float, r2: float) -> None:
    y, w = np.full(41, 0.1), drawn(41, 1)[1]

    assert evaluated(spec_of(loss={"name": "mse"}), y[:, None] + miss, y, w).metrics()["r2"] == r2


SURE: dict[str, tuple[dict[str, Any], Callable[[float], float]]] = {
    "cross entropy": ({"loss": {"name": "cross_entropy"}, "outputs": 2}, lambda z: z),
    "bce": ({"loss": {"name": "bce"}}, lambda z: z),
    "focal": ({"loss": {"name": "focal", "gamma": 2.0}, "outputs": 2}, lambda z: z),
}


@pytest.mark.parametrize("case", SURE)
@pytest.mark.parametrize("z", [40.0, 900.0])
def test_the_loss_of_a_sure_and_wrong_network_is_told_beyond_the_digits_of_its_probabilities(case: str, z: float) -> None:
    fields, expected = SURE[case]
    spec = spec_of(**fields, task="binary", classes=[0, 1])
    logits = np.array([[0.0, z]] if spec.layers[-1] == 2 else [[z]])

    found = evaluated(spec, logits, np.zeros(1, np.int64), pieces=1)

    assert found.loss == pytest.approx(expected(z), rel=1e-12)
    assert found.metrics()["log_loss"] == pytest.approx(-math.log(np.finfo(np.float32).eps))


def test_a_network_that_diverged_has_no_metrics() -> None:
    z, _ = drawn(8, 3)
    z[5, 0] = np.nan

    found = evaluated(spec_of(), z, np.arange(8) % 3)

    assert found.loss is not None
    assert math.isnan(found.loss)
    assert all(map(math.isnan, found.metrics().values()))
