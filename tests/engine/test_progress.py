"""Which epoch is kept, when a member stops, and what its history holds."""

from typing import Any, Literal

import numpy as np
import pytest

from app.domain import metrics
from app.domain.job import StopReason
from app.domain.schema import Task
from app.domain.spec.schedules import LogCosine
from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import run
from worker.engine.data import Member, MemberArrays
from worker.engine.initial import initial_weights
from worker.engine.progress import Block, Progress
from worker.engine.recovery import host_state, restore_host
from worker.engine.schedules import Rates
from worker.engine.stack import Stack


def block(train: list[float], val: list[float] | None = None, **scores: list[float]) -> Block:
    ones, judged = np.ones(len(train)), np.array(train if val is None else val)
    columns = {f"val_{name}": ones for name in metrics.of_epochs(Task.MULTICLASS)}
    columns |= {name: np.array(column) for name, column in scores.items()}
    return Block(
        train=np.array(train),
        val=None if val is None else np.array(val),
        metrics=columns,
        rates=ones,
        seconds=ones,
        finite=np.isfinite(train) & np.isfinite(judged),
    )


def progress(**fields: Any) -> Progress:
    return Progress(spec_of(**({"epochs": 100} | fields)), position=0, validated=True)


def test_the_best_epoch_is_the_lowest_validation_loss_and_the_first_of_equals() -> None:
    member = progress()
    verdict = member.take(block([3.0, 2.0, 1.0, 0.5], [5.0, 2.0, 2.0, 9.0]))
    assert verdict.best == 1
    assert member.best is not None
    assert (member.best.epoch, member.best.val_loss) == (2, 2.0)
    assert member.take(block([1.0], [2.0])).best is None


def test_of_equal_accuracies_the_lower_loss_is_the_best_however_the_epochs_are_told() -> None:
    told, one_by_one = (progress(early_stopping={"metric": "val_accuracy", "patience": 50}) for _ in range(2))
    accuracy, losses = [0.5, 0.9, 0.9, 0.9, 0.8], [3.0, 2.0, 1.0, 1.5, 0.1]

    told.take(block([1.0] * 5, losses, val_accuracy=accuracy))
    for right, loss in zip(accuracy, losses, strict=True):
        one_by_one.take(block([1.0], [loss], val_accuracy=[right]))

    assert told.best is not None
    assert told.best == one_by_one.best
    assert (told.best.epoch, told.stopper.wait) == (3, 3)


def test_patience_counts_epochs_without_an_improvement_of_more_than_min_delta() -> None:
    member = progress(early_stopping={"patience": 3, "min_delta": 0.5})
    verdict = member.take(block([1.0] * 8, [9.0, 8.0, 7.6, 7.55, 7.51, 1.0, 1.0, 1.0]))
    assert member.finished is StopReason.EARLY_STOPPING
    assert (member.epoch, verdict.last, verdict.best) == (5, 4, 4)


CYCLES = {"epochs": 15, "lr_schedule": {"name": "log_cosine", "cycles": 4}}


def restored(member: Progress) -> Progress:
    """Another that goes on from its state."""
    rates, other = Rates(member.spec, steps=1), Progress(member.spec, position=0, validated=True)
    restore_host(host_state(member, rates), other, [rates])
    return other


@pytest.mark.parametrize(
    ("losses", "end"),
    [
        ([5, 6, 7], 3),
        ([5, 6, 5], 3),
        ([5, 6, 4, 9, 9, 9, 9], 7),
        ([5, 6, 4, 9, 9, 3.5, 9, *[9] * 8], 15),
        ([5, 6, 4, 3, 9, 9, 9, 9, *[1] * 7], 15),
        ([5, 4, 6, 3.5, 9, 9, 9, *[1] * 8], 15),
    ],
    ids=[
        "the second brings nothing",
        "equals are nothing",
        "the third brings nothing",
        "all bring something",
        "early in it",
        "the last",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 15])
def test_patience_of_a_cycle_ends_with_the_first_cycle_but_one_that_brings_nothing(
    losses: list[float], end: int, size: int
) -> None:
    member, left = progress(early_stopping={"patience": "cycle"}, **CYCLES), [float(loss) for loss in losses]
    while left and member.finished is None:
        assert member.ended() is None
        member = restored(member)
        member.take(block([1.0] * len(left[:size]), left[:size]))
        left = left[size:]
    stopped = StopReason.EARLY_STOPPING if end < 15 else StopReason.MAX_EPOCHS
    assert (member.epoch, member.finished, member.ended()) == (end, stopped, stopped)


@pytest.mark.parametrize("size", [1, 2, 4, 9])
@pytest.mark.parametrize(("epochs", "best"), [(1, 2), (2, 8), (3, 8), (100, 2)])
def test_the_best_epoch_is_the_one_with_the_best_mean(epochs: int, best: int, size: int) -> None:
    losses = [5.0, 1.0, 9.0, 9.0, 3.0, 2.5, 2.0, 2.25, 3.0]
    member, values = progress(early_stopping={"patience": 50, "mean_epochs": epochs}, epochs=9), losses
    while values:
        member = restored(member)
        member.take(block([1.0] * len(values[:size]), values[:size]))
        values = values[size:]

    assert member.best is not None
    assert (member.best.epoch, member.best.val_loss) == (best, losses[best - 1])


def test_the_first_cycle_is_not_judged_where_its_metric_is_undefined() -> None:
    rule = {"patience": "cycle", "metric": "val_accuracy"}
    member = progress(early_stopping=rule, **CYCLES)
    member.take(block([1.0] * 15, [1.0] * 15, val_accuracy=[np.nan, np.nan, 0.5, *[0.4] * 12]))
    assert (member.epoch, member.finished) == (7, StopReason.EARLY_STOPPING)


def test_a_cycle_must_bring_more_than_min_delta() -> None:
    member = progress(early_stopping={"patience": "cycle", "min_delta": 1.0}, **CYCLES)
    member.take(block([1.0] * 15, [5.0, 4.5, 4.1, *[1.0] * 12]))
    assert (member.epoch, member.finished) == (3, StopReason.EARLY_STOPPING)


@pytest.mark.parametrize(
    ("epochs", "warmup", "ends"),
    [
        (15, 0, {1: False, 3: True, 7: True}),
        (64, 0, {5: False, 13: True, 30: True}),
        (18, 3, {4: False, 6: True, 10: True}),
        (4, 0, {1: False, 2: True}),
        (1, 0, {1: False}),
        (5, 9, {10: False}),
    ],
)
def test_a_cycle_ends_with_the_epoch_that_passes_its_zero(epochs: int, warmup: int, ends: dict[int, bool]) -> None:
    assert LogCosine(name="log_cosine", warmup_epochs=warmup).ends(epochs) == ends


def test_a_metric_that_should_grow_is_watched_upwards() -> None:
    member = progress(early_stopping={"metric": "val_accuracy", "patience": 2})
    verdict = member.take(block([1.0] * 5, [5.0, 4.0, 3.0, 2.0, 1.0], val_accuracy=[0.1, 0.7, 0.6, 0.5, 0.9]))
    assert (member.finished, member.epoch, verdict.best) == (StopReason.EARLY_STOPPING, 4, 1)


def test_patience_goes_on_over_blocks() -> None:
    member = progress(early_stopping={"patience": 4})
    for loss in (1.0, 2.0, 3.0, 4.0):
        member.take(block([1.0], [loss]))
        assert member.finished is None
    member.take(block([1.0, 1.0], [5.0, 0.0]))
    assert (member.finished, member.epoch) == (StopReason.EARLY_STOPPING, 5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["train", "val"])
def test_a_loss_that_is_not_finite_ends_the_job_and_is_recorded_but_never_best(bad: float, where: str) -> None:
    member = progress()
    losses = {"train": [2.0, 1.0, 1.0], "val": [2.0, 1.0, 1.0]}
    losses[where][1] = bad
    verdict = member.take(block(losses["train"], losses["val"]))
    assert (member.finished, member.epoch, verdict.last, verdict.best) == (StopReason.NON_FINITE_LOSS, 2, 0, 0)
    assert member.message is not None
    assert "epoch 2" in member.message
    assert "learning rate" in member.message
    report = member.report()
    assert report is not None
    assert report.epochs.epoch == [1, 2]
    assert report.last is not None
    assert report.last.epoch == 1


def test_an_undefined_metric_is_never_best() -> None:
    member = progress(early_stopping={"metric": "val_accuracy", "patience": 50})
    assert member.take(block([1.0] * 3, [1.0] * 3, val_accuracy=[np.nan, 0.2, np.nan])).best == 1


@pytest.mark.parametrize(("every", "expected"), [(1, list(range(1, 13))), (5, [1, 5, 10, 12]), (100, [1, 12])])
@pytest.mark.parametrize("report_seconds", [0, 0.25])
def test_history_keeps_the_first_every_nth_and_the_last_epoch(every: int, expected: list[int], report_seconds: float) -> None:
    _, [history] = run([member_of(spec_of(epochs=12, record_every=every))], report_seconds=report_seconds)
    assert history.columns.epoch == expected
    assert {len(column) for column in history.columns.metrics.values()} == {len(expected)}


def overfitting(**fields: Any) -> Member:
    """Labels that are noise: the validation loss soon rises."""
    return member_of(spec_of(hidden=(16,), optimizer={"name": "adam", "learning_rate": 0.05}, **fields), seed=4)


def test_early_stopping_keeps_the_weights_of_the_best_epoch_and_of_the_last() -> None:
    member = overfitting(epochs=500, early_stopping={"patience": 6})
    stack, [history] = run([member])
    losses = [loss for loss in history.columns.val_loss if loss is not None]
    best = int(np.argmin(losses)) + 1
    assert history.end.finished is StopReason.EARLY_STOPPING
    assert history.end.best is not None
    assert history.end.best.epoch == best
    assert history.end.epoch == best + 6 == len(losses)
    ends: list[tuple[Literal["best", "last"], int]] = [("best", best), ("last", best + 6)]
    for which, epochs in ends:
        plain = train_plainly(Member(spec=member.spec.model_copy(update={"epochs": epochs}), arrays=member.arrays))
        found = stack.weights(0, which)
        for name, value in plain.net.state_dict().items():
            np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-7)


def test_the_best_weights_have_the_best_loss_when_evaluated_again() -> None:
    stack, [history] = run([overfitting(epochs=80)])
    best = history.end.best
    loss, scores = stack.evaluate(0, "validation", "best")
    assert best is not None
    assert loss == pytest.approx(best.val_loss, rel=1e-12)
    assert scores["accuracy"] == pytest.approx(best.metrics["val_accuracy"])
    assert set(metrics.of_epochs(Task.MULTICLASS)) <= set(scores)


def test_test_rows_are_evaluated_once_asked_for() -> None:
    stack, _ = run([member_of(spec_of(test_rows=6, epochs=5))])
    loss, scores = stack.evaluate(0, "test", "last")
    assert np.isfinite(loss)
    assert 0 <= scores["accuracy"] <= 1
    with pytest.raises(ValueError, match="test rows"):
        run([member_of(spec_of(epochs=2))])[0].evaluate(0, "test", "last")


def test_regression_is_reported_in_the_targets_units() -> None:
    member = member_of(spec_of(loss={"name": "mse"}, epochs=5), scale=3.0)
    stack, [history] = run([member])
    last = history.end.latest
    assert last is not None
    assert last.val_loss is not None
    assert last.metrics["val_rmse"] == pytest.approx(np.sqrt(last.val_loss))
    assert stack.evaluate(0, "validation", "last")[0] == pytest.approx(last.val_loss)


def test_after_divergence_the_last_finite_weights_remain() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    optimizer = {"name": "sgd", "learning_rate": 50.0}
    spec = spec_of(
        rows=20, val=0, inputs=2, hidden=(4,), loss={"name": "mse"}, network={"activation": "relu"}, optimizer=optimizer
    )
    member = Member(spec=spec.model_copy(update={"epochs": 200}), arrays=MemberArrays(x_train=x, y_train=y))
    stack, [history] = run([member])
    assert history.end.finished is StopReason.NON_FINITE_LOSS
    assert history.end.last is not None
    assert history.end.last.epoch == history.end.epoch - 1
    for weights in (stack.weights(0, "best"), stack.weights(0, "last")):
        assert all(np.isfinite(value).all() for value in weights.values())
    plain = train_plainly(Member(spec=spec.model_copy(update={"epochs": history.end.epoch - 1}), arrays=member.arrays))
    np.testing.assert_allclose(stack.weights(0, "last")["0.weight"], plain.net.state_dict()["0.weight"].numpy(), rtol=1e-6)


def test_periodic_checkpoints_hold_the_weights_of_their_epoch() -> None:
    member = member_of(spec_of(epochs=11, checkpoints={"every": 4, "keep": 3}, batch_size=6))
    _, [history] = run([member])
    kept = [pair for report in history.reports for pair in report.periodic]
    assert [losses.epoch for losses, _ in kept] == [4, 8]
    plain = train_plainly(Member(spec=member.spec.model_copy(update={"epochs": 8}), arrays=member.arrays))
    np.testing.assert_allclose(kept[1][1].weights["0.weight"], plain.net.state_dict()["0.weight"].numpy(), rtol=1e-9)
    assert kept[1][0].train_loss == pytest.approx(plain.train[-1])


def test_a_report_of_many_blocks_brings_only_as_many_periodic_checkpoints_as_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._LONGEST", 4)
    _, [history] = run([member_of(spec_of(epochs=20, checkpoints={"every": 1, "keep": 2}))], report_seconds=0.5)
    assert max(len(report.periodic) for report in history.reports) == 2
    assert [losses.epoch for losses, _ in history.end.periodic] == [19, 20]


def test_before_the_first_epoch_the_weights_are_the_first_ones() -> None:
    member = member_of(spec_of())
    weights = Stack([member]).weights(0, "best")
    for name, value in initial_weights(member.spec).items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-6)
