"""The temperature of a classification: which one it is, and that training knows nothing of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.engine.plain import member_of, spec_of
from tests.engine.running import run
from worker.engine.calibration import TEMPERATURES, best_temperature
from worker.engine.data import Member, MemberArrays
from worker.engine.ensembles import apart, folds_of
from worker.engine.evaluation import Cooled
from worker.engine.network import Weights, sequential

SURE: dict[str, Any] = {"optimizer": {"name": "adam", "learning_rate": 0.05}, "epochs": 60, "val": 30, "hidden": (16,)}


def member_with(*, weighted: bool = False, **fields: Any) -> Member:
    """Labels that follow the rows, with noise: a long training becomes too sure of them."""
    member = member_of(spec_of(**SURE | fields), weighted=weighted)
    arrays, noise = member.arrays, np.random.default_rng(1)
    assert isinstance(arrays, MemberArrays)
    classes = len(member.spec.classes or ())
    labels = {}
    for part in ("train", "val", "test"):
        x = getattr(arrays, f"x_{part}")
        if x is not None:
            score = x[:, 0] + noise.normal(scale=0.7, size=len(x))
            labels[f"y_{part}"] = np.digitize(score, [0.0] if classes == 2 else [-0.5, 0.5])
    return replace(member, arrays=replace(arrays, **labels))


def cooled(z: torch.Tensor, y: torch.Tensor, w: torch.Tensor | None = None, *, convex: bool) -> Cooled:
    """Of one network's logits [n, O]."""
    return Cooled(y, w, lambda temperature: z.T.double() / temperature, convex=convex)


@pytest.mark.parametrize(("weighted", "convex"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("outputs", [1, 2, 4])
@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0, 40.0])
def test_it_has_the_lowest_log_loss_of_all_that_are_tried(spread: float, outputs: int, weighted: bool, convex: bool) -> None:
    draw = torch.Generator().manual_seed(int(10 * spread) + outputs)
    z = torch.randn(50, outputs, generator=draw)
    y = torch.multinomial(z.softmax(1), 1, generator=draw)[:, 0] if outputs > 1 else (z[:, 0].sigmoid() > 0.4).long()
    y[::3] = 0
    w = torch.rand(50, generator=draw) if weighted else None

    found = best_temperature(cooled(z * spread, y, w, convex=convex))

    both = torch.cat([torch.zeros(50, 1), z * spread], 1) if outputs == 1 else z * spread
    rows = [functional.cross_entropy(both.double() / t, y, reduction="none") for t in TEMPERATURES]
    losses = [float((row * (torch.ones(50) if w is None else w)).sum()) for row in rows]
    assert found == TEMPERATURES[int(np.argmin(losses))]


def test_it_is_one_where_nothing_makes_a_difference_and_where_nothing_is_known() -> None:
    y = torch.tensor([0, 1, 1])

    for convex in (True, False):
        assert best_temperature(cooled(torch.zeros(3, 2), y, convex=convex)) == pytest.approx(1.0)
        assert best_temperature(cooled(torch.tensor([[0.0], [torch.nan], [1.0]]), y, convex=convex)) == 1.0
    assert (TEMPERATURES[0], TEMPERATURES[30], TEMPERATURES[-1]) == pytest.approx((0.2, 1.0, 5.0))


@pytest.mark.parametrize("loss", ["cross_entropy", "bce", "focal"])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_and_its_state_are_as_without_it_and_what_is_served_is_calibrated(loss: str, weighted: bool) -> None:
    plain, calibrated = (
        member_with(loss={"name": loss}, calibration=calibration, weighted=weighted) for calibration in ("none", "temperature")
    )
    (one, [first]), (other, [second]) = run([plain]), run([calibrated])

    assert first.numbers() == second.numbers()
    before, after = one.recovery_state(0), other.recovery_state(0)
    same = before.keys() - {"seconds", "latest"}
    assert all(np.array_equal(before[name], after[name]) for name in same)
    for which in ("best", "last"):
        as_trained, exported = other.weights(0, which), other.exported(0, which)
        assert exported.temperature in TEMPERATURES
        *_, last_weight, last_bias = as_trained
        for name, values in as_trained.items():
            divisor = exported.temperature if name in (last_weight, last_bias) else 1.0
            np.testing.assert_allclose(exported.weights[name], values / divisor, rtol=1e-12)
        _, sharp = one.evaluate(0, "validation", which)
        _, mild = other.evaluate(0, "validation", which)
        assert mild["log_loss"] <= sharp["log_loss"]
        assert which == "best" or (mild["log_loss"] < sharp["log_loss"] and exported.temperature > 1)
        assert (mild["accuracy"], mild["f1"]) == (sharp["accuracy"], sharp["f1"])
    assert one.exported(0, "best").temperature is None


def test_the_metrics_of_validation_and_test_are_those_of_what_is_served() -> None:
    member = member_with(test_rows=9, calibration="temperature")
    stack, _ = run([member])
    net = sequential(member.spec).double()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in stack.exported(0, "best").weights.items()})

    for part, x, y in (
        ("validation", member.arrays.x_val, member.arrays.y_val),  # type: ignore[union-attr]
        ("test", member.arrays.x_test, member.arrays.y_test),  # type: ignore[union-attr]
    ):
        with torch.no_grad():
            expected = functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y)).item()
        loss, found = stack.evaluate(0, part, "best")  # type: ignore[arg-type]
        assert (loss, found["log_loss"]) == pytest.approx((expected, expected), rel=1e-9)


def test_periodic_checkpoints_are_calibrated_by_their_own_epoch() -> None:
    member = member_with(calibration="temperature", epochs=9, checkpoints={"every": 3, "keep": 3})
    stack, [history] = run([member])

    kept = [pair for report in history.reports for pair in report.periodic]

    temperatures = [exported.temperature for _, exported in kept]
    losses, exported = kept[-1]
    assert [losses.epoch for losses, _ in kept] == [3, 6, 9]
    assert len(set(temperatures)) > 1
    last = stack.exported(0, "last")
    assert exported.temperature == last.temperature
    assert all(np.array_equal(exported.weights[name], last.weights[name]) for name in last.weights)
    _, found = stack.evaluate(0, "validation", "last")
    assert losses.metrics == {f"val_{name}": value for name, value in found.items()}


@pytest.mark.parametrize("folds", [True, False])
def test_an_ensemble_has_one_temperature_by_what_is_judged_of_it(folds: bool) -> None:
    member = member_with(
        val=0 if folds else 30, rows=40, epochs=120, ensemble={"members": 3, "folds": folds}, calibration="temperature"
    )
    arrays = member.arrays
    assert isinstance(arrays, MemberArrays)
    member = replace(member, folds=folds_of(member.spec, arrays.y_train))
    stack, _ = run([member])
    x, y = (arrays.x_train, arrays.y_train) if folds else (arrays.x_val, arrays.y_val)
    assert x is not None
    assert y is not None

    exported = stack.exported(0, "last")

    z = [logits_of(member, weights, x) for weights in apart(stack.weights(0, "last"))]
    losses = [judged(member, [one / temperature for one in z], y) for temperature in TEMPERATURES]
    assert exported.temperature == TEMPERATURES[int(np.argmin(losses))]
    assert exported.temperature != pytest.approx(1.0)
    served = [logits_of(member, weights, x) for weights in apart(exported.weights)]
    _, found = stack.evaluate(0, "validation", "last")
    assert (judged(member, served, y), min(losses)) == pytest.approx((found["log_loss"], found["log_loss"]), rel=1e-9)


def logits_of(member: Member, weights: Weights, x: np.ndarray[Any, Any]) -> torch.Tensor:
    net = sequential(member.spec).double()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    with torch.no_grad():
        z: torch.Tensor = net(torch.from_numpy(x))
    return z


def judged(member: Member, z: list[torch.Tensor], y: np.ndarray[Any, Any]) -> float:
    """The log-loss of each row by the network that has not seen it, or by the mean of all."""
    p = torch.stack(z).softmax(-1)
    rows = torch.arange(len(y))
    mean = p.mean(0) if member.folds is None else p[torch.from_numpy(member.folds), rows]
    return float(-mean[rows, torch.from_numpy(y)].log().mean())
