"""However a run is cut into reports and attempts, it learns the same bits and reports the same history."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.plain import member_of, spec_of
from tests.engine.running import History, run
from worker.engine.data import Member, MemberArrays
from worker.engine.stack import Stack

# A tape of many epochs and one of a single epoch, full batches and mini-batches, all kinds of state.
CASES: dict[str, dict[str, Any]] = {
    "full batch": {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    "mini-batches with dropout": {"batch_size": 5, "network": {"dropout": 0.3}, "optimizer": {"name": "adam"}},
    "batch normalization": {"batch_size": 6, "network": {"normalization": "batch"}, "optimizer": {"name": "nadam"}},
    "plateau": {"batch_size": 9, "lr_schedule": {"name": "plateau", "patience": 1, "factor": 0.5, "threshold": 0.1}},
    "one cycle and patience": {
        "batch_size": 7,
        "lr_schedule": {"name": "one_cycle"},
        "early_stopping": {"metric": "val_accuracy", "patience": 15},
        "optimizer": {"name": "rmsprop", "centered": True, "momentum": 0.5},
    },
    "several target columns": {"batch_size": 6, "loss": {"name": "mse"}, "target": ["a", "b"]},
    "schedules of rate, dropout and decay": {
        "batch_size": 7,
        "lr_schedule": {"name": "log_cosine", "cycles": 3},
        "regularization_schedule": "flat_cosine",
        "network": {"dropout": 0.4},
        "optimizer": {"name": "adamw", "weight_decay": 0.3},
    },
    "cycles that bring something and one that does not": {
        "batch_size": 9,
        "epochs": 30,
        "lr_schedule": {"name": "log_cosine", "cycles": 5},
        "early_stopping": {"patience": "cycle"},
        "optimizer": {"name": "adam", "learning_rate": 0.05},
    },
    "a decay that is part of the gradient and falls": {
        "regularization_schedule": "flat_cosine",
        "optimizer": {"name": "adam", "weight_decay": 0.3},
    },
    "thinned history": {"batch_size": 8, "record_every": 7, "optimizer": {"name": "adagrad", "learning_rate": 0.1}},
}


def run_in_pieces(members: Sequence[Member], steps_of_pieces: Sequence[int], **options: Any) -> tuple[Stack, list[History]]:
    """Start again from the recovery points after every piece; each report is one step later than the one before."""
    histories = [History() for _ in members]
    states = None
    for steps in steps_of_pieces:
        stack = Stack(members, dtype=torch.float32, states=states, report_seconds=0, **options)
        for count, reports in enumerate(stack.train(), start=1):
            for report in reports:
                histories[report.position].take(report)
            states = [{name: array.copy() for name, array in stack.recovery_state(i).items()} for i in range(len(members))]
            if count == steps:
                break
    return stack, histories


def assert_identical(one: tuple[Stack, list[History]], other: tuple[Stack, list[History]]) -> None:
    for position, (first, second) in enumerate(zip(one[1], other[1], strict=True)):
        assert first.numbers() == second.numbers()
        assert first.end.best == second.end.best
        assert first.end.finished == second.end.finished
        for which in ("best", "last"):
            ours, theirs = one[0].weights(position, which), other[0].weights(position, which)
            assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(autouse=True)
def tape_of_eight_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short enough that runs of some epochs turn it over and are cut within it."""
    monkeypatch.setattr("worker.engine.tape._LONGEST", 8)


@pytest.fixture(params=CASES)
def member(request: pytest.FixtureRequest) -> Member:
    return member_of(spec_of(**({"epochs": 21} | CASES[request.param])), weighted=True)


def test_reports_after_every_step_change_nothing(member: Member) -> None:
    assert_identical(run([member], torch.float32), run([member], torch.float32, report_seconds=0))


@pytest.mark.parametrize("pieces", [[1, 10_000], [2, 3, 17, 10_000], [13, 1, 1, 40, 10_000]])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(member: Member, pieces: list[int]) -> None:
    assert_identical(run([member], torch.float32), run_in_pieces([member], pieces))


def test_a_stack_goes_on_to_the_same_bits() -> None:
    members = [member_of(spec_of(seed=seed, batch_size=5, epochs=20, network={"dropout": 0.2}), seed=seed) for seed in range(3)]
    assert_identical(run(members, torch.float32), run_in_pieces(members, [7, 22, 10_000]))


ODD_ONES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "momentum": ({"optimizer": {"name": "rmsprop"}}, {"optimizer": {"name": "rmsprop", "momentum": 0.9}}),
    "a centered square": ({"optimizer": {"name": "rmsprop"}}, {"optimizer": {"name": "rmsprop", "centered": True}}),
    "velocity": ({"optimizer": {"name": "sgd"}}, {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}}),
    "decay": ({"optimizer": {"name": "adam"}}, {"optimizer": {"name": "adam", "weight_decay": 0.1}}),
    "factors": (
        {"optimizer": {"name": "adamw", "weight_decay": 0.1}},
        {"parameter_groups": {"bias": {"learning_rate_factor": 0.5}}},
    ),
    "other units": ({"optimizer": {"name": "adamw", "weight_decay": 0.1}}, {"network": {"parametrization": "ntk"}}),
    "weights": ({"class_weights": {"0": 1.0}}, {"class_weights": {"0": 3.0}}),
    "dropout": ({}, {"network": {"dropout": 0.3}}),
    "clipping": ({}, {"gradient_clip_norm": 0.1}),
}


# Batches whose rows are no one in float32 when they are put together again, and whose last one is another part of them.
@pytest.mark.parametrize(("rows", "size"), [(27, 10), (82, 41), (23, 9)])
@pytest.mark.parametrize("name", ODD_ONES)
def test_nobody_notices_that_a_neighbour_of_another_kind_has_left(name: str, rows: int, size: int) -> None:
    fields, odd = ODD_ONES[name]
    common: dict[str, Any] = {"rows": rows, "batch_size": size} | fields
    specs = [spec_of(**({"epochs": 16, "seed": seed} | common)) for seed in range(3)]
    specs[1] = spec_of(**({"epochs": 3, "seed": 1} | common | odd))
    members = [member_of(spec, seed=seed, weighted=spec.class_weights == {"0": 3.0}) for seed, spec in enumerate(specs)]
    whole = run(members, torch.float32)

    stack, histories = Stack(members, dtype=torch.float32, report_seconds=0), [History() for _ in members]
    for reports in stack.train():
        for report in reports:
            histories[report.position].take(report)
        if histories[0].end.epoch == 5:
            break
    assert histories[1].end.finished
    states = [None if i == 1 else {name: array.copy() for name, array in stack.recovery_state(i).items()} for i in range(3)]
    again = Stack([members[0], None, members[2]], dtype=torch.float32, states=states)
    for reports in again.train():
        for report in reports:
            histories[report.position].take(report)

    for position in (0, 2):
        assert histories[position].numbers() == whole[1][position].numbers()
        ours, theirs = again.weights(position, "last"), whole[0].weights(position, "last")
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_an_epoch_that_is_gathered_in_windows_goes_on_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 2))
    member = member_of(spec_of(batch_size=3, epochs=6, optimizer={"name": "adam"}), weighted=True)
    whole = run([member], torch.float32)
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 8))
    np.testing.assert_allclose(whole[1][0].columns.train_loss, run([member], torch.float32)[1][0].columns.train_loss, rtol=1e-6)
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 2))
    assert_identical(whole, run_in_pieces([member], [3, 5, 11, 10_000]))


def test_an_evaluation_in_many_slabs_goes_on_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.logits._CELLS", 10)
    monkeypatch.setattr("worker.engine.stack.plan", lambda members, layout, **_: (1, 8))
    member = member_of(spec_of(batch_size=3, epochs=6))
    assert_identical(run([member], torch.float32), run_in_pieces([member], [9, 4, 11, 1, 10_000]))


def test_the_time_goes_on_from_the_last_epoch() -> None:
    stack, [history] = run([member_of(spec_of(epochs=12))])
    assert stack.recovery_state(0)["seconds"][0] >= history.columns.seconds[-1] > 0


def test_states_of_different_epochs_do_not_fit_together() -> None:
    member = member_of(spec_of(epochs=9, batch_size=6))
    states = []
    for count in (2, 4):
        stack = Stack([member], report_seconds=0)
        reports = stack.train()
        for _ in range(count):
            next(reports)
        states.append(stack.recovery_state(0))
    with pytest.raises(ValueError, match="one epoch"):
        Stack([member, member], states=states)


def test_an_average_that_nobody_asked_for_counts_nothing_where_a_recovery_point_has_one() -> None:
    plain, centered = (spec_of(epochs=30, optimizer={"name": "rmsprop", "centered": flag}) for flag in (False, True))
    members = [member_of(plain), member_of(centered, seed=1)]
    whole = run(members, torch.float32)
    stack = Stack(members, dtype=torch.float32, report_seconds=0)
    next(iter(stack.train()))
    states = [{name: array.copy() for name, array in stack.recovery_state(i).items()} for i in range(2)]
    states[0]["optimizer.average"] += np.sqrt(states[0]["optimizer.square"])

    _, [history, _] = run(members, torch.float32, states=states)

    assert history.columns.train_loss[-1] == whole[1][0].columns.train_loss[-1]


@pytest.mark.parametrize("scale", [1e-30, 2e37])
def test_row_weights_of_any_size_teach_the_same(scale: float) -> None:
    spec = spec_of(rows=64, batch_size=16, epochs=5)
    one = member_of(spec, weighted=True)
    arrays = one.arrays
    assert isinstance(arrays, MemberArrays)
    assert arrays.w_train is not None
    other = replace(one, arrays=replace(arrays, w_train=arrays.w_train * scale))

    [first], [second] = run([one], torch.float32)[1], run([other], torch.float32)[1]

    np.testing.assert_allclose(second.columns.train_loss, first.columns.train_loss, rtol=1e-4)
