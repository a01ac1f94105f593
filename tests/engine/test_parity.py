"""The engine learns what a plain torch loop learns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import run
from worker.engine.data import Member
from worker.engine.layout import Layout
from worker.engine.training import plan

OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "sgd", "learning_rate": 0.05},
    {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
    {"name": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
    {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.01},
    {"name": "adamw", "learning_rate": 0.01, "betas": [0.8, 0.95], "weight_decay": 0.1},
    {"name": "nadam", "learning_rate": 0.01, "weight_decay": 0.01},
    {"name": "radam", "learning_rate": 0.01, "weight_decay": 0.01},
    {"name": "rmsprop", "learning_rate": 0.005, "weight_decay": 0.01},
    {"name": "rmsprop", "learning_rate": 0.002, "momentum": 0.9, "centered": True},
    {"name": "adagrad", "learning_rate": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1, "weight_decay": 0.01},
]
LOSSES: list[dict[str, Any]] = [
    {"name": "cross_entropy"},
    {"name": "cross_entropy", "label_smoothing": 0.1},
    {"name": "bce"},
    {"name": "mse"},
    {"name": "l1"},
    {"name": "huber", "delta": 0.8},
    {"name": "quantile", "q": 0.8},
    {"name": "poisson"},
    {"name": "focal", "gamma": 1.5},
]
ACTIVATIONS = ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "identity"]
SCHEDULES: list[dict[str, Any]] = [
    {"name": "step", "step_size": 7, "gamma": 0.5},
    {"name": "exponential", "gamma": 0.97},
    {"name": "cosine", "eta_min": 1e-3},
    {"name": "one_cycle"},
    {"name": "log_cosine"},
    {"name": "log_cosine", "cycles": 2},
    {"name": "plateau", "factor": 0.5, "patience": 2, "threshold": 1e-2},
]


def assert_same(
    member: Member, tolerance: float = 1e-9, dtype: torch.dtype = torch.float64, beside: Sequence[Member] = ()
) -> None:
    plain = train_plainly(member, dtype)
    _, [history, *_] = run([member, *beside], dtype)
    assert history.columns.epoch == list(range(1, member.spec.epochs + 1))
    np.testing.assert_allclose(history.columns.train_loss, plain.train, rtol=tolerance)
    if plain.val:
        np.testing.assert_allclose(np.array(history.columns.val_loss, dtype=float), plain.val, rtol=tolerance)
    np.testing.assert_allclose(history.columns.learning_rate, plain.rates, rtol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: "-".join(map(str, o.values())))
def test_every_optimizer_follows_torch_for_100_epochs(optimizer: dict[str, Any]) -> None:
    assert_same(member_of(spec_of(optimizer=optimizer, epochs=100)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: "-".join(map(str, o.values())))
def test_every_optimizer_follows_torch_in_mini_batches_with_a_smaller_last_one(optimizer: dict[str, Any]) -> None:
    assert_same(member_of(spec_of(optimizer=optimizer, epochs=15, batch_size=5)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [23, 5])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda o: "-".join(map(str, o.values())))
def test_every_loss_follows_torch(loss: dict[str, Any], batch_size: int, weighted: bool) -> None:
    scale = 1.0 if loss["name"] in ("cross_entropy", "bce", "poisson", "focal") else 2.5
    spec = spec_of(loss=loss, epochs=100 if batch_size == 23 else 25, batch_size=batch_size)
    assert_same(member_of(spec, weighted=weighted, scale=scale))


def test_focal_loss_on_one_output_follows_its_formula() -> None:
    assert_same(member_of(spec_of(loss={"name": "focal", "gamma": 2.0}, outputs=1, epochs=25)))


@pytest.mark.parametrize("dropout", [0.0, [0.3, 0.0]])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_follows_torch(activation: str, dropout: float | list[float]) -> None:
    network = {"activation": activation, "dropout": dropout}
    assert_same(member_of(spec_of(network=network, epochs=100, batch_size=8)))


WARMED = [schedule | {"warmup_epochs": 5} for schedule in [{"name": "constant"}, *SCHEDULES]]


@pytest.mark.parametrize("batch_size", [23, 8])
@pytest.mark.parametrize("schedule", SCHEDULES + WARMED, ids=lambda s: "-".join(map(str, s.values())))
def test_every_schedule_follows_torch(schedule: dict[str, Any], batch_size: int) -> None:
    fields: dict[str, Any] = {"lr_schedule": schedule, "epochs": 100, "batch_size": batch_size}
    assert_same(member_of(spec_of(optimizer={"name": "adam", "learning_rate": 0.05}, **fields)))


@pytest.mark.parametrize("batch_size", [23, 8])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: "-".join(map(str, o.values())))
def test_weight_decay_follows_its_schedule_in_every_optimizer(optimizer: dict[str, Any], batch_size: int) -> None:
    decaying = optimizer | {"weight_decay": 0.05}
    assert_same(member_of(spec_of(optimizer=decaying, regularization_schedule="flat_cosine", epochs=40, batch_size=batch_size)))


@pytest.mark.parametrize("batch_size", [23, 8])
@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_dropout_follows_its_schedule(normalization: str, batch_size: int) -> None:
    network = {"dropout": [0.4, 0.2], "normalization": normalization}
    assert_same(member_of(spec_of(network=network, regularization_schedule="flat_cosine", epochs=40, batch_size=batch_size)))


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("batch_size", [23, 9])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalization_follows_torch(normalization: str, batch_size: int, dropout: float) -> None:
    network = {"normalization": normalization, "activation": "gelu", "dropout": dropout}
    # Quicker learning overfits these 23 rows, and then rounding alone grows to 2e-9 within 100 epochs.
    optimizer = {"name": "adamw", "learning_rate": 0.003, "weight_decay": 0.05}
    member = member_of(spec_of(network=network, batch_size=batch_size, optimizer=optimizer, epochs=100))
    assert_same(member)


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_clipping_follows_torch(normalization: str) -> None:
    fields: dict[str, Any] = {"gradient_clip_norm": 0.05, "network": {"normalization": normalization}}
    assert_same(member_of(spec_of(optimizer={"name": "sgd", "learning_rate": 0.5, "momentum": 0.9}, epochs=40, **fields)))


@pytest.mark.parametrize("hidden", [(), (1,), (6,), (4, 4, 4)])
@pytest.mark.parametrize("inputs", [1, 3])
def test_every_depth_follows_torch(hidden: tuple[int, ...], inputs: int) -> None:
    assert_same(member_of(spec_of(hidden=hidden, inputs=inputs, epochs=30)))


@pytest.mark.parametrize("weighted", [False, True])
def test_epochs_gathered_in_windows_of_batches_follow_torch(monkeypatch: pytest.MonkeyPatch, weighted: bool) -> None:
    monkeypatch.setattr("worker.engine.tape._WINDOW", 60)
    monkeypatch.setattr("worker.engine.dropout.MASKS_OF_ONE_DRAW", 2)
    schedule = {"name": "plateau", "patience": 3}
    member = member_of(spec_of(batch_size=3, epochs=12, network={"dropout": 0.2}, lr_schedule=schedule), weighted=weighted)
    assert plan([member], Layout(member.spec)) == (1, 2)
    assert_same(member)


def test_a_window_of_a_single_smaller_batch_follows_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 2))
    assert_same(member_of(spec_of(batch_size=5, epochs=12), weighted=True))


def test_without_validation_nothing_but_the_training_loss_is_reported() -> None:
    member = member_of(spec_of(val=0, epochs=10))
    assert_same(member)
    _, [history] = run([member])
    assert history.columns.val_loss == [None] * 10
    assert history.columns.metrics == {}


def test_float32_follows_torch_over_the_first_steps() -> None:
    assert_same(member_of(spec_of(epochs=10)), tolerance=1e-5, dtype=torch.float32)


@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal"])
def test_every_initialization_can_be_trained_from(name: str) -> None:
    assert_same(member_of(spec_of(network={"initialization": name}, epochs=5)))


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_weights_go_into_the_plain_network(normalization: str) -> None:
    member = member_of(spec_of(network={"normalization": normalization, "dropout": 0.2}, epochs=9, batch_size=6))
    plain = train_plainly(member)
    stack, _ = run([member])
    last, expected = stack.weights(0, "last"), plain.net.state_dict()
    assert list(last) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(last[name], value.numpy(), rtol=1e-9)
        assert last[name].shape == tuple(value.shape)
