"""An ensemble is its networks, each as a plain loop trains it, judged and kept as one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.explicit import as_used
from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import History, run
from tests.engine.test_resume import assert_identical, run_in_pieces
from worker.engine.data import Member, MemberArrays
from worker.engine.ensembles import Seating, apart, folds_of
from worker.engine.stack import Stack

CASES: dict[str, dict[str, Any]] = {
    "cross-entropy": {"batch_size": 8, "network": {"dropout": 0.2}},
    "one logit": {"loss": {"name": "bce"}, "batch_size": 8},
    "regression": {"loss": {"name": "mse"}, "optimizer": {"name": "adamw", "learning_rate": 0.01}},
    "poisson": {"loss": {"name": "poisson"}, "batch_size": 8, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    "batch normalization": {"batch_size": 8, "network": {"normalization": "batch"}},
    "a front": {
        "batch_size": 8,
        "featured": 2,
        "tables": [(5, 2)],
        "parameter_groups": {"bias": {"learning_rate_factor": 0.1}},
        "network": {
            "numeric_features": {"kind": "periodic", "frequencies": 4, "width": 2},
            "input_scaling": True,
            "parametrization": "ntk",
            "initialization": "data_driven",
        },
    },
    "a front and batches in common": {
        "batch_size": 7,
        "featured": 2,
        "network": {
            "activation": "silu",
            "dropout": 0.3,
            "numeric_features": {"kind": "periodic", "frequencies": 4, "width": 2},
            "input_scaling": True,
        },
        "optimizer": {"name": "adamw", "learning_rate": 0.01},
    },
    "one batch in common": {"network": {"input_scaling": True}},
    "groups": {
        "batch_size": 8,
        "parameter_groups": {"bias": {"learning_rate_factor": 0.1, "weight_decay_factor": 0.0}},
        "network": {"parametrization": "ntk"},
        "optimizer": {"name": "adamw", "learning_rate": 0.02, "weight_decay": 0.1},
        "regularization_schedule": "flat_cosine",
    },
    "labels": {"loss": {"name": "bce"}, "target": ["a", "b"], "batch_size": 8},
}


def ensemble_of(*, folds: bool, members: int = 3, weighted: bool = False, val: int = 7, **fields: Any) -> Member:
    ensemble = {"members": members, "folds": folds}
    member = member_of(spec_of(val=0 if folds else val, ensemble=ensemble, **fields), weighted=weighted)
    assert isinstance(member.arrays, MemberArrays)
    return replace(member, folds=folds_of(member.spec, member.arrays.y_train))


def outputs(net: torch.nn.Module, x: np.ndarray[Any, Any], member: Member) -> np.ndarray[Any, Any]:
    """Probabilities [n, O], or numbers."""
    with torch.no_grad():
        z: torch.Tensor = net(torch.from_numpy(x))
    if member.spec.loss.name == "cross_entropy":
        z = z.softmax(-1)
    elif member.spec.loss.name in ("bce", "poisson"):
        z = torch.sigmoid(z) if member.spec.loss.name == "bce" else torch.exp(z)
    found: np.ndarray[Any, Any] = z.numpy()
    return found


def own_loss(p: np.ndarray[Any, Any], y: np.ndarray[Any, Any], member: Member) -> np.ndarray[Any, Any]:
    """[n] by the definition, from what is predicted."""
    if member.spec.loss.name == "cross_entropy":
        return np.asarray(-np.log(p[np.arange(len(y)), y]))
    y = y.reshape(p.shape)
    each = {
        "bce": lambda: -(y * np.log(p) + (1 - y) * np.log(1 - p)),
        "mse": lambda: (p - y) ** 2,
        "poisson": lambda: p - y * np.log(p),
    }[member.spec.loss.name]()
    return np.asarray(each.mean(1))


@pytest.fixture(params=["operations", "one pass"])
def optimizer_goes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of small networks, and as of large ones."""
    if request.param == "one pass":
        monkeypatch.setattr("app.domain.front._LARGE", 0)


@pytest.mark.usefixtures("optimizer_goes")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_last_epoch_is_judged_by_each_network_on_the_rows_it_has_not_seen(case: str, weighted: bool) -> None:
    member = ensemble_of(folds=True, weighted=weighted, **CASES[case])
    _, [history] = run([member])
    arrays, folds = member.arrays, member.folds
    assert isinstance(arrays, MemberArrays)
    assert folds is not None

    networks = [train_plainly(network) for network in Seating([member]).networks]

    means = np.mean([network.train for network in networks], 0)
    np.testing.assert_allclose(history.columns.train_loss, means, rtol=1e-9)
    w = np.ones(len(folds)) if arrays.w_train is None else arrays.w_train
    lost = np.zeros(len(folds))
    for index, network in enumerate(networks):
        own = folds == index
        network.net.eval()
        lost[own] = own_loss(outputs(network.net, arrays.x_train[own], member), arrays.y_train[own], member)
    np.testing.assert_allclose(history.columns.val_loss[-1] or 0, lost @ w / w.sum(), rtol=1e-9)


@pytest.mark.parametrize("batch_size", [3, 4, 5, 10])
def test_networks_whose_batches_are_gathered_in_windows_are_the_plain_ones(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 2))
    monkeypatch.setattr("worker.engine.dropout.MASKS_OF_ONE_DRAW", 2)
    member = ensemble_of(folds=True, **CASES["a front and batches in common"] | {"batch_size": batch_size})
    _, [history] = run([member])

    means = np.mean([train_plainly(network).train for network in Seating([member]).networks], 0)
    np.testing.assert_allclose(history.columns.train_loss, means, rtol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_rows_of_their_own_are_judged_by_the_mean_of_what_the_networks_predict(case: str) -> None:
    member = ensemble_of(folds=False, **CASES[case])
    _, [history] = run([member])
    arrays = member.arrays
    assert isinstance(arrays, MemberArrays)
    assert arrays.x_val is not None
    assert arrays.y_val is not None

    networks = [train_plainly(network) for network in Seating([member]).networks]

    for network in networks:
        network.net.eval()
    mean = np.mean([outputs(network.net, arrays.x_val, member) for network in networks], 0)
    np.testing.assert_allclose(history.columns.val_loss[-1] or 0, own_loss(mean, arrays.y_val, member).mean(), rtol=1e-9)


def test_the_weights_are_those_of_the_plain_networks() -> None:
    member = ensemble_of(folds=True, batch_size=8)
    stack, _ = run([member])

    for ours, network in zip(apart(stack.weights(0, "last")), Seating([member]).networks, strict=True):
        theirs = train_plainly(network).net.state_dict()
        for name, values in theirs.items():
            np.testing.assert_allclose(ours[name], values.numpy(), rtol=1e-8, atol=1e-12)


def test_networks_whose_batches_leave_columns_free_are_the_plain_ones() -> None:
    network = {"activation": "silu", "dropout": 0.2, "input_scaling": True}
    member = ensemble_of(folds=True, rows=46, batch_size=26, epochs=20, network=network)  # 18 rows in 24 columns
    stack, _ = run([member])

    for ours, plain in zip(apart(stack.weights(0, "last")), Seating([member]).networks, strict=True):
        for name, values in as_used(plain.spec, train_plainly(plain).net).items():
            np.testing.assert_allclose(ours[name], values, rtol=1e-8, atol=1e-12)


def test_all_networks_begin_differently_and_see_the_same_batches() -> None:
    member = ensemble_of(folds=True)
    networks = Seating([member]).networks

    assert len({network.spec.seed for network in networks}) == 3
    assert {network.seed_of_batches for network in networks} == {member.spec.seed}


@pytest.mark.parametrize("members", [2, 3, 8, 30])
def test_folds_are_even_in_rows_and_classes(members: int) -> None:
    member = ensemble_of(folds=True, members=members, rows=29)
    assert isinstance(member.arrays, MemberArrays)
    assert member.folds is not None

    for rows in (np.ones(29, bool), *(member.arrays.y_train == code for code in range(3))):
        sizes = np.bincount(member.folds[rows], minlength=members)
        assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("case", [*CASES, "patience", "plateau"])
@pytest.mark.parametrize("folds", [False, True])
def test_an_ensemble_that_is_resumed_anywhere_ends_with_the_same_bits(case: str, folds: bool) -> None:
    more: dict[str, dict[str, Any]] = {
        "patience": {"early_stopping": {"metric": "val_accuracy", "patience": 4}, "batch_size": 6},
        "plateau": {"batch_size": 9, "lr_schedule": {"name": "plateau", "patience": 1, "factor": 0.5}},
    }
    member = ensemble_of(folds=folds, epochs=9, **(CASES | more)[case])

    undisturbed = run([member], torch.float32)

    assert_identical(run_in_pieces([member], [1, 4, 3, 10_000]), undisturbed)


@pytest.mark.parametrize("folds", [False, True])
def test_the_mean_loss_of_many_networks_does_not_depend_on_where_a_run_was_cut(folds: bool) -> None:
    member = ensemble_of(folds=folds, members=9, rows=45, batch_size=12, epochs=9)
    assert_identical(run_in_pieces([member], [1, 4, 3, 10_000]), run([member], torch.float32))


def test_one_epoch_is_the_best_of_all_networks() -> None:
    member = ensemble_of(folds=True, epochs=40, batch_size=4, optimizer={"name": "sgd", "learning_rate": 0.5})
    stack, [history] = run([member])
    best = history.end.best
    assert best is not None

    assert best.epoch == history.columns.epoch[int(np.argmin(np.array(history.columns.val_loss, dtype=float)))]
    assert best.epoch < 40
    loss, metrics = stack.evaluate(0, "validation", "best")
    assert loss == pytest.approx(best.val_loss, rel=1e-12)
    assert metrics["accuracy"] == pytest.approx(best.metrics["val_accuracy"], rel=1e-12)


def test_a_stop_keeps_the_last_epoch_of_all_networks() -> None:
    member = ensemble_of(folds=True, batch_size=8, epochs=4)
    shorter = replace(member, spec=member.spec.model_copy(update={"epochs": 3}))
    history = History()
    stack = Stack([member], dtype=torch.float64, report_seconds=0)
    for reports in stack.train():
        history.take(reports[0])
        if history.end.epoch == 3:
            break
    whole, _ = run([shorter])

    for name, values in whole.weights(0, "last").items():
        np.testing.assert_array_equal(stack.weights(0, "last")[name], values)
