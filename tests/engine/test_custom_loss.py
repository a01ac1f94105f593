"""A custom loss learns what the built-in one of the same formula learns; whatever it does wrong is its own member's end."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.domain.job import StopReason
from app.domain.spec.losses import Custom
from tests.engine.plain import member_of, spec_of
from tests.engine.running import History, run
from tests.plugins.losses import Broken, Focal, Huber, Trained
from worker.engine.custom_loss import CustomLoss, LossFailed
from worker.engine.data import Member
from worker.engine.stack import Stack

BUILT_IN: dict[str, tuple[dict[str, Any], Callable[[], nn.Module]]] = {
    "huber": ({"loss": {"name": "huber", "delta": 0.8}}, lambda: Huber(0.8)),
    "focal": ({"loss": {"name": "focal", "gamma": 1.5}}, lambda: Focal(1.5)),
    "focal of two classes": (
        {"loss": {"name": "focal", "gamma": 1.5}, "outputs": 2, "task": "binary", "classes": [0, 1]},
        lambda: Focal(1.5),
    ),
}


class Faulty(nn.Module):
    """A cross-entropy, and then what a test makes of it, if `healthy` does not know that number of rows."""

    def __init__(self, spoil: Callable[[Tensor, Tensor], Any], *, healthy: Callable[[int], bool] = lambda rows: False) -> None:
        super().__init__()
        self.spoil, self.healthy = spoil, healthy

    def forward(self, outputs: Tensor, target: Tensor) -> Any:
        losses = functional.cross_entropy(outputs, target, reduction="none")
        return losses if self.healthy(len(target)) else self.spoil(outputs, losses)


class Scribbling(Huber):
    """Leaves nothing of its arguments."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        losses = super().forward(outputs * 1, target * 1)
        with torch.no_grad():
            outputs.zero_()
            target.zero_()
        return losses


class _NoSlope(torch.autograd.Function):
    """Fails in its backward pass."""

    @staticmethod
    def forward(ctx: Any, losses: Tensor) -> Tensor:
        return losses.clone()

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        raise ArithmeticError("no slope")


no_slope: Callable[[Tensor], Any] = _NoSlope.apply


def customized(member: Member, module: nn.Module) -> Member:
    """The same member with a loss of its own."""
    spec = member.spec.model_copy(update={"loss": Custom(name="custom:mine")})
    return replace(member, spec=spec, custom_loss=CustomLoss("custom:mine", module))


def assert_alike(histories: list[History], expected: list[History], *, factor: float = 1.0) -> None:
    for history, other in zip(histories, expected, strict=True):
        assert history.columns.epoch == other.columns.epoch
        np.testing.assert_allclose(history.columns.train_loss, np.array(other.columns.train_loss) * factor, rtol=1e-9)
        val = np.array(other.columns.val_loss, dtype=float) * factor
        np.testing.assert_allclose(np.array(history.columns.val_loss, dtype=float), val, rtol=1e-9)
        for name, column in other.columns.metrics.items():
            np.testing.assert_allclose(history.columns.metrics[name], column, rtol=1e-8)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("batch_size", [23, 5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", list(BUILT_IN))
def test_it_learns_what_the_built_in_loss_learns(name: str, weighted: bool, batch_size: int, members: int) -> None:
    fields, make = BUILT_IN[name]
    specs = [spec_of(**fields, epochs=100 if batch_size == 23 else 25, batch_size=batch_size, seed=i) for i in range(members)]
    built_in = [member_of(spec, seed=i, weighted=weighted) for i, spec in enumerate(specs)]

    stack, histories = run([customized(member, make()) for member in built_in])

    other, expected = run(built_in)
    assert_alike(histories, expected)
    for position in range(members):
        for key, value in other.weights(position, "best").items():
            np.testing.assert_allclose(stack.weights(position, "best")[key], value, rtol=1e-7)


def test_its_parts_of_a_network_with_normalization_and_dropout_are_the_built_in_ones() -> None:
    network = {"normalization": "batch", "dropout": 0.2}
    built_in = member_of(spec_of(loss={"name": "focal", "gamma": 1.5}, network=network, batch_size=9, epochs=20))

    assert_alike(run([customized(built_in, Focal(1.5))])[1], run([built_in])[1])


def test_epochs_gathered_in_windows_of_batches_are_measured_by_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._WINDOW", 60)
    schedule = {"name": "plateau", "patience": 3}
    built_in = member_of(spec_of(loss={"name": "focal", "gamma": 1.5}, batch_size=3, lr_schedule=schedule), weighted=True)

    assert_alike(run([customized(built_in, Focal(1.5))])[1], run([built_in])[1])


def test_its_loss_is_reported_as_it_is_where_the_target_is_standardized() -> None:
    built_in = member_of(spec_of(loss={"name": "huber", "delta": 0.8 * 2.5}, epochs=20), scale=2.5)

    _, histories = run([customized(built_in, Huber(0.8))])

    _, expected = run([built_in])
    np.testing.assert_allclose(histories[0].columns.train_loss, np.array(expected[0].columns.train_loss) / 2.5**2, rtol=1e-9)
    np.testing.assert_allclose(histories[0].columns.metrics["val_rmse"], expected[0].columns.metrics["val_rmse"], rtol=1e-9)


def test_what_it_does_to_its_arguments_is_not_seen_by_the_engine() -> None:
    built_in = member_of(spec_of(loss={"name": "huber", "delta": 0.8}, epochs=20, batch_size=8))

    assert_alike(run([customized(built_in, Scribbling(0.8))])[1], run([built_in])[1])


def test_early_stopping_watches_it() -> None:
    rule: dict[str, Any] = {
        "early_stopping": {"patience": 3, "min_delta": 0.02},
        "optimizer": {"name": "adam", "learning_rate": 0.05},
    }
    built_in = member_of(spec_of(loss={"name": "focal", "gamma": 1.5}, epochs=200, **rule))

    _, [history] = run([customized(built_in, Focal(1.5))])

    assert history.end.finished is StopReason.EARLY_STOPPING
    assert_alike([history], run([built_in])[1])


FAULTS: dict[str, tuple[nn.Module, str]] = {
    "an exception": (Broken(0), "ArithmeticError: the operator divides by nothing"),
    "an exception in the backward pass": (Faulty(lambda z, losses: no_slope(losses)), "ArithmeticError: no slope"),
    "one number": (Faulty(lambda z, losses: losses.mean()), "of shape [] for 23 rows"),
    "a column": (Faulty(lambda z, losses: losses[:, None]), "of shape [23, 1] for 23 rows"),
    "whole numbers": (Faulty(lambda z, losses: losses.long()), "it returned torch.int64"),
    "a float": (Faulty(lambda z, losses: 0.5), "it returned a float in place of a tensor"),
    "no gradient": (Faulty(lambda z, losses: losses.detach()), "no gradient"),
    "a gradient of something else": (Faulty(lambda z, losses: losses.detach().requires_grad_()), "RuntimeError"),
    "outputs changed in place": (Faulty(lambda z, losses: z.mul_(2)[:, 0]), "in-place"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_faulty_one_ends_its_member_with_a_message_that_names_it(fault: str) -> None:
    module, words = FAULTS[fault]

    stack, [history] = run([customized(member_of(spec_of()), module)])

    assert history.end.finished is StopReason.INVALID_LOSS
    assert str(history.end.message).startswith("The loss custom:mine failed: ")
    assert words in str(history.end.message)
    assert history.columns.epoch == []
    with pytest.raises(LossFailed, match="custom:mine"):
        stack.evaluate(0, "validation", "last")


def test_one_that_fails_on_the_validation_rows_alone_ends_its_member_too() -> None:
    module = Faulty(lambda z, losses: losses.mean(), healthy=lambda rows: rows % 23 == 0)

    _, [history] = run([customized(member_of(spec_of(rows=23, val=7)), module)])

    assert (history.end.finished, history.columns.epoch) == (StopReason.INVALID_LOSS, [])


def test_one_that_fails_later_keeps_what_its_member_learned_and_leaves_its_neighbours_alone() -> None:
    def members(calls: int) -> list[Member]:
        modules = [Broken(10**9), Broken(calls), Broken(10**9)]
        return [customized(member_of(spec_of(epochs=30, batch_size=8, seed=i), seed=i), m) for i, m in enumerate(modules)]

    _, expected = run(members(10**9), report_seconds=0.0)

    stack, histories = run(members(40), report_seconds=0.0)

    failed = histories[1]
    assert failed.end.finished is StopReason.INVALID_LOSS
    assert 0 < failed.end.epoch < 30
    assert failed.columns.train_loss == expected[1].columns.train_loss[: failed.end.epoch]
    assert failed.columns.epoch == list(range(1, failed.end.epoch + 1))
    assert all(np.isfinite(value).all() for value in stack.weights(1, "last").values())
    for position in (0, 2):
        assert histories[position].numbers() == expected[position].numbers()


def test_a_member_that_goes_on_from_a_recovery_point_ends_with_the_same_bits() -> None:
    def member() -> Member:
        return customized(member_of(spec_of(epochs=60, batch_size=8)), Focal())

    whole, [history] = run([member()])
    stack = Stack([member()], dtype=torch.float64, report_seconds=0.0)
    for count, _ in enumerate(stack.train()):
        if count == 5:
            break

    state = stack.recovery_state(0)
    resumed, [rest] = run([member()], states=[state])

    assert 0 < len(rest.columns.epoch) < 60
    assert rest.columns.train_loss == history.columns.train_loss[-len(rest.columns.epoch) :]
    for key, value in whole.weights(0, "last").items():
        assert np.array_equal(resumed.weights(0, "last")[key], value)


def test_an_empty_place_calls_no_loss() -> None:
    def refuse_zeros(z: Tensor, losses: Tensor) -> Tensor:
        assert (z != 0).any()
        return losses

    stack = Stack([None, customized(member_of(spec_of()), Faulty(refuse_zeros)), None])

    *_, [end] = stack.train()

    assert (end.position, end.finished) == (1, StopReason.MAX_EPOCHS)


def test_a_failure_is_told_once_with_its_cause() -> None:
    heard: list[LossFailed] = []
    member = member_of(spec_of())
    loss = CustomLoss("custom:mine", Broken(0), tell=heard.append)

    run([replace(customized(member, Broken()), custom_loss=loss)])

    assert heard == [loss.failure]
    assert isinstance(heard[0].__cause__, ArithmeticError)


@pytest.mark.parametrize(
    ("module", "words"), [(Trained(), r"has parameters \(inner.weight, inner.bias\)"), (print, "is no torch.nn.Module")]
)
def test_what_cannot_be_a_loss_is_refused_at_once(module: object, words: str) -> None:
    with pytest.raises(LossFailed, match=f"^The loss custom:mine {words}"):
        CustomLoss("custom:mine", module)


def test_the_example_of_the_documentation_trains() -> None:
    page = (Path(__file__).parents[2] / "docs/custom-losses.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    written: dict[str, Any] = {}
    exec(example, written)

    _, [history] = run([customized(member_of(spec_of(loss={"name": "mse"})), written["LogCosh"]())])

    assert history.end.finished is StopReason.MAX_EPOCHS
    assert history.columns.train_loss[-1] < history.columns.train_loss[0]


def test_a_member_without_its_loss_is_refused() -> None:
    member = customized(member_of(spec_of()), Focal())

    with pytest.raises(ValueError, match="without a loss of its own"):
        Stack([replace(member, custom_loss=None)])
