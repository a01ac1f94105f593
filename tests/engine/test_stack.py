"""Members of a stack do not notice each other; each ends when and as it should."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from app.domain.job import StopReason
from tests.engine.plain import member_of, spec_of, train_plainly
from tests.engine.running import History, run
from tests.engine.test_ensembles import ensemble_of
from worker.engine.data import Member, MemberArrays
from worker.engine.layout import Layout
from worker.engine.stack import Stack
from worker.engine.tape import ON_GPU, capacity
from worker.engine.training import Training

PACKS: list[dict[str, Any]] = [
    {},
    {"batch_size": 5, "network": {"dropout": 0.2}},
    {"batch_size": 6, "network": {"normalization": "batch"}},
    {"loss": {"name": "huber", "delta": 0.5}, "gradient_clip_norm": 0.5},
]


def pack(count: int, **fields: Any) -> list[Member]:
    """Members that differ in rows, seed, learning rate and decay."""
    members = []
    for i in range(count):
        optimizer = {"name": "adamw", "learning_rate": 0.01 * (i + 1), "weight_decay": 0.02 * i}
        own: dict[str, Any] = {"optimizer": optimizer, "epochs": 30 + i, "seed": i}
        members.append(member_of(spec_of(**(own | fields)), seed=i, weighted=i == 1))
    return members


def assert_as_alone(members: list[Member], histories: list[History], positions: list[int]) -> None:
    for position in positions:
        _, [alone] = run([members[position]])
        np.testing.assert_allclose(histories[position].columns.train_loss, alone.columns.train_loss, rtol=1e-9)
        np.testing.assert_allclose(np.array(histories[position].columns.val_loss), np.array(alone.columns.val_loss), rtol=1e-9)
        for name, column in alone.columns.metrics.items():
            np.testing.assert_allclose(histories[position].columns.metrics[name], column, rtol=1e-9)
        assert histories[position].end.finished == alone.end.finished


def test_a_member_behind_one_without_dropout_has_masks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.tape._WINDOW", 1)
    monkeypatch.setattr("worker.engine.dropout.MASKS_OF_ONE_DRAW", 2)
    fields: dict[str, Any] = {"batch_size": 3, "lr_schedule": {"name": "plateau"}}
    members = [pack(2, network={"dropout": rate}, **fields)[i] for i, rate in enumerate((0.0, 0.3))]

    _, histories = run(members)

    assert_as_alone(members, histories, [0, 1])


@pytest.mark.parametrize("fields", PACKS, ids=str)
def test_packed_members_learn_what_they_learn_alone(fields: dict[str, Any]) -> None:
    members = pack(3, **fields)
    _, histories = run(members)
    assert_as_alone(members, histories, [0, 1, 2])


def test_each_member_is_measured_in_units_and_limits_of_its_own() -> None:
    members = []
    for i, scale in enumerate([1.0, 7.0, 0.1]):
        member = member_of(spec_of(loss={"name": "mse"}, epochs=20, seed=i), seed=i, weighted=i == 2, scale=scale)
        limits = (-0.5, 0.5 + i) if i else None
        members.append(replace(member, arrays=replace(member.arrays, target_range=limits, target_center=10.0 * i)))
    _, histories = run(members)
    assert_as_alone(members, histories, [0, 1, 2])


MIXED: list[list[dict[str, Any]]] = [
    [{"name": "sgd", "momentum": 0.9, "nesterov": True}, {"name": "sgd", "dampening": 0.5, "weight_decay": 0.1}],
    [{"name": "rmsprop", "centered": True}, {"name": "rmsprop", "momentum": 0.8, "alpha": 0.9}],
    [{"name": "nadam", "momentum_decay": 0.1}, {"name": "nadam", "betas": [0.5, 0.9]}],
    [{"name": "radam", "betas": [0.9, 0.6]}, {"name": "radam", "weight_decay": 0.1}],
    [{"name": "adagrad", "lr_decay": 0.5}, {"name": "adagrad", "initial_accumulator_value": 0.5}],
]


@pytest.mark.parametrize("optimizers", MIXED, ids=lambda pair: pair[0]["name"])
def test_each_member_keeps_its_own_hyperparameters(optimizers: list[dict[str, Any]]) -> None:
    members = []
    for i, optimizer in enumerate(optimizers):
        network, clip = {"dropout": [0.0, 0.3 * i]}, 0.5 if i else None
        members.append(member_of(spec_of(optimizer=optimizer, network=network, gradient_clip_norm=clip, epochs=20, seed=i)))
    _, histories = run(members)
    assert_as_alone(members, histories, [0, 1])


def test_validation_splits_of_different_sizes_stay_apart() -> None:
    members = [member_of(spec_of(seed=i, val=val), seed=i) for i, val in enumerate([7, 0, 9])]
    _, histories = run(members)
    for member, history in zip(members, histories, strict=True):
        plain = train_plainly(member)
        np.testing.assert_allclose(history.columns.train_loss, plain.train, rtol=1e-9)
        np.testing.assert_allclose([loss for loss in history.columns.val_loss if loss is not None], plain.val, rtol=1e-9)


def test_a_stopped_member_keeps_its_weights_and_the_others_go_on() -> None:
    members = pack(3, batch_size=5)
    stack = Stack(members, dtype=torch.float64, report_seconds=0)
    histories = [History() for _ in members]
    reports = stack.train()
    for _ in range(22):
        for report in next(reports):
            histories[report.position].take(report)
    stack.stop(1, StopReason.CANCELLED)
    kept = stack.weights(1, "last")
    for batch in reports:
        for report in batch:
            histories[report.position].take(report)
    assert histories[1].end.finished is StopReason.CANCELLED
    epochs = histories[1].end.epoch
    assert 0 < epochs < members[1].spec.epochs
    plain = train_plainly(Member(spec=members[1].spec.model_copy(update={"epochs": epochs}), arrays=members[1].arrays))
    for name, value in plain.net.state_dict().items():
        np.testing.assert_allclose(kept[name], value.numpy(), rtol=1e-9)
        np.testing.assert_array_equal(stack.weights(1, "last")[name], kept[name])
    assert_as_alone(members, histories, [0, 2])


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_a_member_that_diverges_to_nan_touches_no_other(normalization: str) -> None:
    members = pack(3, loss={"name": "mse"}, network={"normalization": normalization, "activation": "relu"})
    wild = members[1].spec.optimizer.model_copy(update={"learning_rate": 1e200})
    members[1] = Member(spec=members[1].spec.model_copy(update={"optimizer": wild}), arrays=members[1].arrays)
    _, histories = run(members)
    assert histories[1].end.finished is StopReason.NON_FINITE_LOSS
    assert_as_alone(members, histories, [0, 2])


@pytest.mark.parametrize("name", ["sgd", "adamw", "nadam", "rmsprop"])
def test_a_diverged_member_becomes_zeros_that_stay_zeros(name: str) -> None:
    members = pack(2, optimizer={"name": name, "weight_decay": 0.1}, batch_size=5)
    training = Training(members, Layout(members[0].spec), epochs=2, window=5, like=torch.empty(0, dtype=torch.float64))
    training.tape.flat[:, 1] = torch.nan
    for moment in training.moments(1).values():
        moment.fill_(torch.nan)
    training.bury(1)
    training.begin(1, 0)
    with torch.inference_mode():
        for index in range(5):
            training.step(1, index)
    assert (training.tape.flat[:, 1] == 0).all()
    assert all(moment.isfinite().all() for moment in training.moments(1).values())
    assert (training.tape.flat[1, 0] != 0).any()


def test_stopping_the_only_member_ends_the_run() -> None:
    stack = Stack([member_of(spec_of(epochs=1000, batch_size=2))], report_seconds=0)
    reports = stack.train()
    next(reports)
    stack.stop(0, StopReason.CANCELLED)
    [last] = list(reports)
    assert [report.finished for report in last] == [StopReason.CANCELLED]
    assert last[0].epoch == 0


def test_members_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        Stack([member_of(spec_of()), member_of(spec_of(hidden=(9, 4)))])


def test_a_member_ends_at_its_own_last_epoch() -> None:
    _, histories = run(pack(3))
    assert [history.end.epoch for history in histories] == [30, 31, 32]
    assert {history.end.finished for history in histories} == {StopReason.MAX_EPOCHS}


def test_training_time_is_limited_by_max_seconds() -> None:
    _, [history] = run([member_of(spec_of(epochs=10_000_000, max_seconds=0.05))])
    assert history.end.finished is StopReason.TIME_LIMIT
    assert history.end.epoch > 0


def test_a_member_always_gets_its_first_epoch() -> None:
    _, [history] = run([member_of(spec_of(epochs=10_000_000, max_seconds=1e-9, batch_size=1))])
    assert history.end.finished is StopReason.TIME_LIMIT
    assert history.end.epoch >= 1


def test_every_member_is_reported_with_every_epoch_once() -> None:
    _, histories = run(pack(2, batch_size=9), report_seconds=0)
    assert [history.columns.epoch for history in histories] == [list(range(1, 31)), list(range(1, 32))]
    assert all(len(history.reports) > 30 for history in histories)
    assert all(seconds == sorted(seconds) for history in histories for seconds in [history.columns.seconds])


def test_read_only_arrays_are_taken() -> None:
    member = member_of(spec_of(epochs=2), weighted=True)
    for array in vars(member.arrays).values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    _, [history] = run([member])
    assert history.end.epoch == 2


def test_an_expensive_metric_is_computed_each_epoch_where_it_is_watched() -> None:
    member = member_of(spec_of(loss={"name": "bce"}, val=40, epochs=6, early_stopping={"metric": "val_roc_auc", "patience": 9}))
    _, [history] = run([member])
    column = history.columns.metrics["val_roc_auc"]
    assert history.end.best is not None
    assert history.end.best.epoch == int(np.argmax(column)) + 1


def rows_of(x: list[list[float]], y: list[int], **fields: Any) -> Member:
    arrays = MemberArrays(x_train=np.array(x), y_train=np.array(y), **fields)
    return Member(spec=spec_of(rows=len(y), val=0, inputs=len(x[0]), hidden=(4,), epochs=20), arrays=arrays)


def test_one_row_and_one_column_are_enough() -> None:
    _, [history] = run([rows_of([[0.5]], [1])])
    assert history.columns.train_loss[-1] < history.columns.train_loss[0]


@pytest.mark.parametrize("batch_size", [23, 11])
def test_one_row_batches_of_batch_normalization_use_the_running_statistics(batch_size: int) -> None:
    member = member_of(spec_of(network={"normalization": "batch"}, batch_size=batch_size, rows=23, epochs=20))
    single = member_of(spec_of(network={"normalization": "batch"}, rows=1, epochs=5))
    for each in (member, single):
        stack, [history] = run([each])
        assert history.end.finished is StopReason.MAX_EPOCHS
        assert all(np.isfinite(value).all() for value in stack.weights(0, "last").values())


def test_a_class_with_one_row_is_learned() -> None:
    member = rows_of([[0.0], [0.1], [5.0]], [0, 1, 2])
    _, [history] = run([member])
    assert history.columns.train_loss[-1] < history.columns.train_loss[0]


def test_a_class_that_is_missing_from_the_training_rows_gets_a_probability() -> None:
    stack, [history] = run([rows_of([[0.0], [0.1]], [0, 1])])
    assert stack.weights(0, "last")["2.weight"].shape == (3, 4)
    assert np.isfinite(history.columns.train_loss).all()


def far(member: Member, *, train: float = 1.0, val: float = 1.0) -> Member:
    """Targets so far away that the loss of their rows overflows, while gradient and weights are numbers."""
    arrays = member.arrays
    assert isinstance(arrays, MemberArrays)
    assert arrays.y_val is not None
    y_train, y_val = arrays.y_train.astype(np.float64) * train, arrays.y_val.astype(np.float64) * val
    return replace(member, arrays=replace(arrays, y_train=np.asarray(y_train, np.float64), y_val=np.asarray(y_val, np.float64)))


@pytest.mark.parametrize(("fields", "what"), [({"val": 1e200}, "validation loss"), ({"train": 1e200}, "training loss")])
@pytest.mark.parametrize("others", [0, 3])
def test_a_loss_that_is_no_number_ends_its_member_alone(fields: dict[str, float], what: str, others: int) -> None:
    slow: dict[str, Any] = {"loss": {"name": "mse"}, "optimizer": {"name": "sgd", "learning_rate": 1e-250}, "epochs": 20}
    lost = far(member_of(spec_of(**slow, val=7)), **fields)
    beside = [member_of(spec_of(**slow, val=val), seed=val) for val in (7, 0, 9)[:others]]
    _, histories = run([*beside, lost])

    assert [history.end.finished for history in histories] == [StopReason.MAX_EPOCHS] * others + [StopReason.NON_FINITE_LOSS]
    assert f"The {what} of epoch 1 is not finite" in (histories[-1].end.message or "")
    assert histories[-1].end.last is None


def test_an_ensemble_of_which_no_mean_is_a_number_ends() -> None:
    member = far(ensemble_of(folds=False, loss={"name": "mse"}, optimizer={"name": "sgd", "learning_rate": 1e-250}), val=1e200)
    _, [history] = run([member])

    assert history.end.finished is StopReason.NON_FINITE_LOSS


def test_a_tape_holds_no_more_networks_than_one_product_takes() -> None:
    spec = spec_of(epochs=1000)
    kept = [capacity(spec, Layout(spec), members=n, rows=23, validation_rows=7, limits=ON_GPU) for n in (1, 255, 256, 1000)]

    assert kept == [256, 256, 128, 64]


def enormous(optimizer: dict[str, Any], *, seed: int = 3, **fields: Any) -> Member:
    """Inputs like times in nanoseconds: squares of their gradients overflow in float32."""
    common: dict[str, Any] = {"loss": {"name": "mse"}, "rows": 40, "val": 10, "batch_size": 8, "epochs": 4, "seed": seed}
    member = member_of(spec_of(**common, network={"activation": "relu"}, optimizer=optimizer, **fields), seed=seed)
    arrays = member.arrays
    assert isinstance(arrays, MemberArrays)
    x_train, x_val = (1.7e18 + 1e15 * np.asarray(x) for x in (arrays.x_train, arrays.x_val))
    return replace(member, arrays=replace(arrays, x_train=x_train, x_val=x_val))


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "rmsprop"])
def test_squares_that_overflow_stop_a_parameter_as_they_do_in_torch(name: str) -> None:
    members = [enormous({"name": name}, seed=seed) for seed in (3, 4)]

    _, [alone] = run(members[:1], torch.float32)
    _, [packed, _] = run(members, torch.float32)

    expected = train_plainly(members[0], torch.float32).train
    for history in (alone, packed):
        assert history.end.finished is StopReason.MAX_EPOCHS
        np.testing.assert_allclose(history.columns.train_loss, expected, rtol=1e-3)


def test_a_gradient_too_long_for_float32_is_not_clipped_where_only_another_member_has_a_limit() -> None:
    members = [enormous({"name": "sgd", "learning_rate": 1e-37}, gradient_clip_norm=limit) for limit in (None, 1.0)]

    _, [alone] = run(members[:1], torch.float32)
    _, [packed, _] = run(members, torch.float32)

    assert packed.end.finished is alone.end.finished is StopReason.MAX_EPOCHS
    np.testing.assert_allclose(packed.columns.train_loss, alone.columns.train_loss, rtol=1e-6)
