"""A target of several columns learns what a plain torch loop with reduction="mean" over [n, O] learns."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import run
from worker.engine.data import Member

TARGET = ["a", "b", "c"]
# Units so different that a factor at the wrong column, or one for all, is seen at once.
SCALES = [2.5, 0.04, 300.0]
LOSSES: list[dict[str, Any]] = [
    {"name": "mse"},
    {"name": "l1"},
    {"name": "huber", "delta": 0.8},
    {"name": "quantile", "q": 0.8},
    {"name": "poisson"},
    {"name": "bce"},
    {"name": "focal", "gamma": 1.5},
]


def members_of(count: int, loss: dict[str, Any], *, weighted: bool, **fields: Any) -> list[Member]:
    """Members whose rows, weights and units differ."""
    standardized = loss["name"] in ("mse", "l1", "huber", "quantile")
    specs = [spec_of(target=TARGET, loss=loss, seed=seed, **fields) for seed in range(count)]
    scales = [[scale * (seed + 1) for scale in SCALES] for seed in range(count)]
    return [
        member_of(spec, seed=seed, weighted=weighted, scale=scales[seed] if standardized else 1.0)
        for seed, spec in enumerate(specs)
    ]


def assert_same(members: list[Member], *, tolerance: float = 1e-9, dtype: torch.dtype = torch.float64) -> None:
    _, histories = run(members, dtype)
    for member, history in zip(members, histories, strict=True):
        plain = train_plainly(member, dtype)
        np.testing.assert_allclose(history.columns.train_loss, plain.train, rtol=tolerance)
        np.testing.assert_allclose(np.array(history.columns.val_loss, dtype=float), plain.val, rtol=tolerance)
        assert len(plain.val) == member.spec.epochs


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["name"])
def test_every_loss_follows_torch_for_100_epochs(loss: dict[str, Any], count: int, weighted: bool) -> None:
    assert_same(members_of(count, loss, weighted=weighted, epochs=100))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["name"])
def test_every_loss_follows_torch_in_mini_batches_with_a_smaller_last_one(loss: dict[str, Any], count: int) -> None:
    assert_same(members_of(count, loss, weighted=True, epochs=20, batch_size=5))


@pytest.mark.parametrize("loss", [{"name": "mse"}, {"name": "bce"}], ids=lambda loss: loss["name"])
def test_normalized_networks_whose_gradient_autograd_finds_follow_torch(loss: dict[str, Any]) -> None:
    assert_same(members_of(2, loss, weighted=True, epochs=20, batch_size=8, network={"normalization": "layer"}))


def test_a_plateau_is_seen_in_the_reported_loss() -> None:
    schedule = {"name": "plateau", "factor": 0.5, "patience": 2, "threshold": 1e-2}
    assert_same(members_of(1, {"name": "mse"}, weighted=False, epochs=40, lr_schedule=schedule))


def test_float32_follows_torch_over_the_first_steps() -> None:
    assert_same(members_of(1, {"name": "mse"}, weighted=False, epochs=10), tolerance=1e-5, dtype=torch.float32)


def test_a_unit_whose_square_leaves_float32_is_reported_all_the_same() -> None:
    member = member_of(spec_of(target=["a", "b"], loss={"name": "mse"}, epochs=3), scale=[1e25, 1.0])

    _, [history] = run([member], torch.float32)

    np.testing.assert_allclose(history.columns.train_loss, train_plainly(member).train, rtol=1e-5)


def test_metrics_are_in_the_units_of_each_column() -> None:
    member = member_of(spec_of(target=TARGET, loss={"name": "l1"}, epochs=5), scale=SCALES)

    stack, [history] = run([member])

    mae = stack.evaluate(0, "validation", "last")[1]["mae"]
    assert mae == pytest.approx(history.columns.val_loss[-1])
    assert mae == pytest.approx(history.columns.metrics["val_mae"][-1])


def test_three_classes_and_three_labels_are_no_stack() -> None:
    classes = member_of(spec_of(loss={"name": "focal"}))
    labels = member_of(spec_of(loss={"name": "focal"}, target=TARGET))

    with pytest.raises(ValueError, match="differ in task"):
        run([classes, labels])
