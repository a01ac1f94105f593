"""Jobs that train in one stack, against both databases: each leaves what it would have left alone."""

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch

from app.domain.job import Status, StopReason
from app.persistence import datasets
from app.persistence.rows import JobRow
from tests.plugins import install
from tests.worker.yard import Killed, Yard, without_seconds
from worker.engine.stack import Stack
from worker.trainer import Trainer

PACKED: dict[str, object] = {"pack": True, "precision": "fp64"}
RATES = (0.001, 0.01, 0.05)


def submitted(yard: Yard, **changes: object) -> list[JobRow]:
    """Three jobs that fit together, each with its own learning rate, seed and length."""
    return [
        yard.submit(
            **{**PACKED, "optimizer": {"name": "adam", "learning_rate": rate}, "seed": seed, "epochs": 25 + seed} | changes
        )
        for seed, rate in enumerate(RATES)
    ]


def packed_as(yard: Yard, job: JobRow) -> tuple[int | None, int | None]:
    found = yard.job(job.id)
    return found.stack_size, found.stack_position


def assert_close(yard: Yard, one: JobRow, other: JobRow) -> None:
    first, second = yard.history(one), yard.history(other)
    assert first.epoch == second.epoch
    np.testing.assert_allclose(np.array(first.train_loss), np.array(second.train_loss), rtol=1e-9)
    np.testing.assert_allclose(np.array(first.val_loss), np.array(second.val_loss), rtol=1e-9)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"target": ["a", "b"]},
        {"columns": {"a": "categorical"}, "preprocessing": {"categorical": "embedding"}},
    ],
    ids=["plain", "several targets", "embedding"],
)
def test_jobs_in_one_stack_learn_what_they_learn_alone(yard: Yard, spec: dict[str, object]) -> None:
    together = submitted(yard, **spec)
    yard.work()
    alone = submitted(yard, pack=False, **spec)
    yard.work()

    assert [packed_as(yard, job) for job in together] == [(3, 0), (3, 1), (3, 2)]
    for one, other in zip(together, alone, strict=True):
        assert packed_as(yard, other) == (1, 0)
        assert yard.job(one.id).status is Status.SUCCEEDED
        assert yard.checkpoints(one).keys() == {"best", "last"}
        assert_close(yard, one, other)


def test_a_neighbour_that_is_cancelled_diverges_or_stops_early_changes_nothing(yard: Yard) -> None:
    undisturbed = submitted(yard)
    yard.work()
    first, cancelled, last = submitted(yard)
    diverging = yard.submit(**PACKED, optimizer={"name": "adam", "learning_rate": 1e300}, epochs=40)
    stopping = yard.submit(**PACKED, optimizer={"name": "adam"}, epochs=40, early_stopping={"patience": 1, "min_delta": 1e9})
    yard.on_report = lambda: yard.ask(cancelled, Status.CANCELLING) if yard.job(cancelled.id).epoch == 7 else None
    yard.work()

    ends = [yard.job(job.id).stop_reason for job in (first, cancelled, last, diverging, stopping)]
    assert ends == ["max_epochs", "cancelled", "max_epochs", "non_finite_loss", "early_stopping"]
    assert packed_as(yard, stopping) == (5, 4)
    assert 0 < yard.job(cancelled.id).epoch < 26
    assert_close(yard, first, undisturbed[0])
    assert_close(yard, last, undisturbed[2])


def test_a_killed_pack_goes_on_to_the_bits_of_an_undisturbed_one(yard: Yard) -> None:
    undisturbed = submitted(yard, precision="fp32")
    yard.work()
    jobs = submitted(yard, precision="fp32")

    def die_at(epoch: int) -> None:
        if yard.job(jobs[0].id).epoch == epoch:
            raise Killed

    for epoch in (8, 16):
        yard.on_report = partial(die_at, epoch)
        with pytest.raises(Killed):
            yard.work(checkpoint=0)
        yard.bury()
    yard.on_report = lambda: None
    yard.work()

    for one, other in zip(jobs, undisturbed, strict=True):
        assert (yard.job(one.id).attempt, packed_as(yard, one)) == (3, packed_as(yard, other))
        assert without_seconds(yard.history(one)) == without_seconds(yard.history(other))
        for kind in ("best", "last"):
            assert yard.weights(yard.checkpoints(one)[kind]) == yard.weights(yard.checkpoints(other)[kind])


def test_a_member_that_was_paused_goes_on_among_empty_places_to_the_same_bits(yard: Yard) -> None:
    undisturbed = submitted(yard, precision="fp32")
    yard.work()
    jobs = submitted(yard, precision="fp32")
    yard.on_report = lambda: yard.ask(jobs[1], Status.PAUSING) if yard.job(jobs[1].id).epoch == 7 else None
    yard.work()
    assert [yard.job(job.id).status for job in jobs] == [Status.SUCCEEDED, Status.PAUSED, Status.SUCCEEDED]

    yard.resume(jobs[1])
    yard.on_report = lambda: None
    yard.work()

    for one, other in zip(jobs, undisturbed, strict=True):
        assert without_seconds(yard.history(one)) == without_seconds(yard.history(other))
        assert yard.weights(yard.checkpoints(one)["last"]) == yard.weights(yard.checkpoints(other)["last"])


def test_a_worker_that_stops_gives_its_whole_pack_back_and_all_go_on_together(yard: Yard) -> None:
    jobs = submitted(yard)
    yard.on_report = lambda: yard.stop() if yard.job(jobs[0].id).epoch == 8 else None
    yard.work()
    assert {yard.job(job.id).status for job in jobs} == {Status.QUEUED}
    assert {yard.job(job.id).epoch > 0 for job in jobs} == {True}

    yard.on_report = lambda: None
    yard.stop_after = float("inf")
    yard.work()

    assert {(yard.job(job.id).status, yard.job(job.id).attempt) for job in jobs} == {(Status.SUCCEEDED, 2)}


def test_a_member_whose_lease_was_lost_leaves_and_the_others_go_on(yard: Yard) -> None:
    jobs = submitted(yard)
    yard.on_report = lambda: yard.lose(jobs[0]) if yard.job(jobs[0].id).epoch == 7 else None

    yard.work()

    stolen = yard.job(jobs[0].id)
    assert (stolen.status, stolen.lease_owner) == (Status.RUNNING, "thief")
    assert [yard.job(job.id).status for job in jobs[1:]] == [Status.SUCCEEDED] * 2


def test_a_pack_that_finds_no_memory_is_halved_until_a_job_is_alone_and_then_that_job_fails(yard: Yard) -> None:
    jobs = [yard.submit(**PACKED, seed=seed) for seed in range(4)]

    def refuse_memory() -> None:
        if any(yard.job(job.id).status is Status.RUNNING and job is jobs[0] for job in jobs):
            raise MemoryError

    yard.on_report = refuse_memory
    yard.work()

    ends = [(yard.job(job.id).stop_reason, yard.job(job.id).stack_size) for job in jobs]
    assert ends[0] == (StopReason.OUT_OF_MEMORY, 1)
    assert ends[1:] == [("max_epochs", 1), ("max_epochs", 2), ("max_epochs", 2)]


def test_memory_that_one_member_is_refused_is_what_the_stack_has_too_much_of(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, refused = [yard.submit(**PACKED, seed=seed) for seed in range(4)], iter([True])

    def evaluate(stack: Stack, *where: Any) -> Any:
        if next(refused, False):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return unharmed(stack, *where)

    unharmed = Stack.evaluate
    monkeypatch.setattr(Stack, "evaluate", evaluate)
    yard.work()

    ends = [(yard.job(job.id).stop_reason, yard.job(job.id).stack_size) for job in jobs]
    assert ends == [("max_epochs", 2)] * 4


def test_what_a_stack_held_is_free_before_its_halves_are_made(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, made = [yard.submit(**PACKED, seed=seed) for seed in range(4)], list[Any]()
    unharmed = Stack.train

    def train(stack: Stack) -> Any:
        alive = [one for one in made if one() is not None]
        made.append(ref(stack))
        if len(made) == 1:
            yield from islice(unharmed(stack), 1)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert not alive
        yield from unharmed(stack)

    monkeypatch.setattr(Stack, "train", train)
    yard.work()

    assert [yard.job(job.id).stop_reason for job in jobs] == ["max_epochs"] * 4
    assert len(made) == 3


def test_after_a_broken_recording_the_jobs_end_well_and_another_process_goes_on(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, replaced = submitted(yard), list[bool]()
    monkeypatch.setattr(Stack, "spoiled", True)
    yard.trainer = partial(Trainer, replace=lambda: replaced.append(True))
    yard.work()

    assert {yard.job(job.id).stop_reason for job in jobs} == {"max_epochs"}
    assert replaced == [True]


def test_a_lost_device_ends_the_process_and_its_parent_gives_the_jobs_back(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, trouble = submitted(yard), iter([0, 1])

    def end(code: int) -> None:
        raise Killed(code)

    def lose() -> None:
        if yard.reports > 3 and next(trouble, 0):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("worker.trainer.os._exit", end)
    yard.on_report = lose
    with pytest.raises(Killed):
        yard.work()
    assert {yard.job(job.id).status for job in jobs} == {Status.RUNNING}
    yard.bury()
    yard.work()

    assert {(yard.job(job.id).status, yard.job(job.id).attempt) for job in jobs} == {(Status.SUCCEEDED, 2)}


def test_a_stack_that_fails_is_taken_apart_so_that_only_the_job_to_blame_fails(yard: Yard) -> None:
    jobs = [yard.submit(**PACKED, seed=seed) for seed in range(3)]

    def break_down() -> None:
        job = yard.job(jobs[2].id)
        if job.status is Status.RUNNING and job.epoch:
            raise ZeroDivisionError

    yard.on_report = break_down
    yard.work()

    assert [yard.job(job.id).stop_reason for job in jobs] == ["max_epochs", "max_epochs", "internal_error"]


def test_jobs_whose_dataset_is_gone_fail_by_themselves(yard: Yard) -> None:
    jobs = submitted(yard)
    with yard.database.write() as connection:
        datasets.remove(connection, yard.dataset)

    yard.work()

    assert {yard.job(job.id).stop_reason for job in jobs} == {StopReason.INVALID_DATA}


def test_a_custom_loss_that_fails_in_a_stack_ends_its_own_job_alone(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site"))
    loss = {"name": "custom:strict"}
    undisturbed = submitted(yard, loss=loss)
    yard.work()
    jobs = submitted(yard, loss=loss)
    diverging = yard.submit(**PACKED, loss=loss, optimizer={"name": "adam", "learning_rate": 1e300}, epochs=40)
    yard.work()

    assert [packed_as(yard, job) for job in (*jobs, diverging)] == [(4, 0), (4, 1), (4, 2), (4, 3)]
    assert yard.job(diverging.id).stop_reason == "invalid_loss"
    for one, other in zip(jobs, undisturbed, strict=True):
        assert yard.job(one.id).status is Status.SUCCEEDED
        assert_close(yard, one, other)


def test_a_pack_that_is_too_large_to_be_loaded_is_tried_in_halves(yard: Yard) -> None:
    jobs = submitted(yard)

    def refuse_the_third() -> None:
        if yard.reports == 10 and {yard.job(job.id).status for job in jobs} == {Status.RUNNING}:
            np.empty(1 << 50)

    yard.on_report = refuse_the_third
    yard.work()

    assert [yard.job(job.id).status for job in jobs] == [Status.SUCCEEDED] * 3
    assert [packed_as(yard, job) for job in jobs] == [(1, 0)] * 3
