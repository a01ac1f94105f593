"""One training process against both databases: what a job leaves behind, however it ends."""

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from app.domain.job import Status, StopReason
from app.domain.memory import estimate, host_estimate
from app.domain.metrics import of_task
from app.domain.numbers import JsonNumber
from app.domain.schema import Task
from app.persistence import checkpoints, datasets, jobs, recovery
from app.persistence.tables import jobs as jobs_table
from app.storage.folder import Folder
from tests.persistence.jobs import RESOLVED
from tests.plugins import install
from tests.worker.yard import Killed, Yard, without_seconds
from worker.failures import failure_of, is_device_lost


def test_a_job_leaves_every_epoch_and_its_best_and_last_checkpoint(yard: Yard) -> None:
    job = yard.submit()

    yard.work()

    ended, history, kept = yard.job(job.id), yard.history(job), yard.checkpoints(job)
    assert (ended.status, ended.stop_reason, ended.epoch) == (Status.SUCCEEDED, StopReason.MAX_EPOCHS, 30)
    assert history.epoch == list(range(1, 31))
    losses = [loss for loss in history.val_loss if loss is not None]
    assert kept["best"].epoch == losses.index(min(losses)) + 1
    assert kept["last"].epoch == 30
    usual = {"weights.safetensors", "model.json", "model.onnx"}
    assert {file["name"] for file in kept["best"].files} in (usual, usual | {"state.safetensors"})
    assert {file["name"] for file in kept["last"].files} == usual | {"state.safetensors"}


def test_the_best_and_the_last_epoch_have_every_metric_of_the_task(yard: Yard) -> None:
    job = yard.submit()

    yard.work()

    ended, kept = yard.job(job.id), yard.checkpoints(job)
    everything = {f"val_{name}" for name in of_task(Task.BINARY)}
    assert ended.best is not None
    assert ended.latest is not None
    for metrics in (ended.best["metrics"], ended.latest["metrics"], kept["best"].losses["metrics"]):
        assert metrics.keys() == everything


def test_the_recovery_points_go_when_the_job_is_over(yard: Yard) -> None:
    job = yard.submit()

    yard.work(checkpoint=0)

    with yard.database.read() as connection:
        assert recovery.every(connection, job.number) == []
    assert list((yard.storage.root / "recovery").iterdir()) == []


def test_a_job_that_was_yielded_again_and_again_ends_with_the_same_bits(yard: Yard) -> None:
    undisturbed = yard.submit()
    yard.work()
    again = yard.submit()
    while not yard.job(again.id).status.terminal:
        yard.stop_after = 14
        yard.work()

    assert yard.job(again.id).attempt > 3
    assert without_seconds(yard.history(again)) == without_seconds(yard.history(undisturbed))
    for kind in ("best", "last"):
        assert yard.weights(yard.checkpoints(again)[kind]) == yard.weights(yard.checkpoints(undisturbed)[kind])


@pytest.mark.parametrize(("asked", "becomes"), [(Status.CANCELLING, Status.CANCELLED), (Status.PAUSING, Status.PAUSED)])
def test_a_running_job_stops_at_its_next_report_when_asked(yard: Yard, asked: Status, becomes: Status) -> None:
    job = yard.submit(epochs=10_000)
    yard.on_report = lambda: yard.ask(job, asked) if yard.reports == 12 else None

    yard.work()

    ended, history = yard.job(job.id), yard.history(job)
    assert ended.status is becomes
    assert 0 < ended.epoch < 10_000
    assert history.epoch == list(range(1, ended.epoch + 1))


def test_a_cancelled_job_keeps_what_was_learned(yard: Yard) -> None:
    job = yard.submit(epochs=10_000)
    yard.on_report = lambda: yard.ask(job, Status.CANCELLING) if yard.reports == 12 else None

    yard.work()

    assert yard.checkpoints(job).keys() == {"best", "last"}


@pytest.mark.parametrize(("asked", "ends"), [(None, StopReason.WORKER_LOST), (Status.CANCELLING, StopReason.CANCELLED)])
def test_a_job_that_ends_by_the_death_of_its_process_keeps_best_and_last(
    yard: Yard, asked: Status | None, ends: StopReason
) -> None:
    job = yard.submit(epochs=10_000)

    def die() -> None:
        if yard.reports < 12:
            return
        if asked:
            yard.ask(job, asked)
        raise Killed

    yard.on_report = die
    with pytest.raises(Killed):
        yard.work(checkpoint=0)
    yard.bury(max_crashes=1)

    assert yard.job(job.id).stop_reason == ends
    assert yard.checkpoints(job).keys() == {"best", "last"}


def test_a_loss_that_is_not_finite_ends_the_job_and_is_in_its_history(yard: Yard) -> None:
    job = yard.submit(optimizer={"name": "sgd", "learning_rate": 1e30}, epochs=50)

    yard.work()

    ended, history = yard.job(job.id), yard.history(job)
    assert (ended.status, ended.stop_reason, ended.error_code) == (
        Status.FAILED,
        StopReason.NON_FINITE_LOSS,
        StopReason.NON_FINITE_LOSS,
    )
    assert "learning rate" in str(ended.error_message)
    last: JsonNumber = history.train_loss[-1]
    assert isinstance(last, float)
    assert not math.isfinite(last)


def test_a_damaged_recovery_point_falls_back_to_the_one_before(yard: Yard) -> None:
    undisturbed = yard.submit()
    yard.work()
    job = yard.submit()
    yard.stop_after = 14
    yard.work(checkpoint=0)
    with yard.database.read() as connection:
        newest, before = recovery.every(connection, job.number)
    path = yard.storage.root / "recovery" / newest.id / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")

    yard.stop_after = math.inf
    yard.work()

    assert (before.epoch, before.batch) < (newest.epoch, newest.batch)
    assert yard.job(job.id).status is Status.SUCCEEDED
    assert without_seconds(yard.history(job)) == without_seconds(yard.history(undisturbed))


def test_a_test_split_is_evaluated_once_at_the_end(yard: Yard) -> None:
    job = yard.submit(split={"validation": 0.2, "test": 0.2})

    yard.work()

    test = yard.job(job.id).test
    assert test is not None
    assert 0 <= test["metrics"]["accuracy"] <= 1


def test_a_job_whose_dataset_is_gone_ends_as_invalid_data(yard: Yard) -> None:
    job = yard.submit()
    with yard.database.write() as connection:
        datasets.remove(connection, yard.dataset)

    yard.work()

    ended = yard.job(job.id)
    assert (ended.stop_reason, "deleted" in str(ended.error_message)) == (StopReason.INVALID_DATA, True)


def test_one_bad_job_does_not_keep_a_process_from_the_next(yard: Yard) -> None:
    bad = yard.submit(optimizer={"name": "sgd", "learning_rate": 1e30})
    good = yard.submit()

    yard.work()

    assert (yard.job(bad.id).status, yard.job(good.id).status) == (Status.FAILED, Status.SUCCEEDED)


def test_periodic_checkpoints_come_at_their_epochs_and_the_newest_are_kept(yard: Yard) -> None:
    job = yard.submit(checkpoints={"every": 7, "keep": 2})

    yard.work()

    with yard.database.read() as connection:
        rows = checkpoints.of_job(connection, job.number)
    assert [row.epoch for row in rows if row.is_periodic] == [21, 28]


def test_a_cancelled_job_s_history_ends_with_its_last_epoch_whatever_is_recorded(yard: Yard) -> None:
    job = yard.submit(epochs=10_000, record_every=1000)
    yard.on_report = lambda: yard.ask(job, Status.CANCELLING) if yard.reports == 12 else None

    yard.work()

    ended, history = yard.job(job.id), yard.history(job)
    assert (ended.status, ended.stop_reason) == (Status.CANCELLED, StopReason.CANCELLED)
    assert history.epoch == [1, ended.epoch]
    assert yard.checkpoints(job)["last"].epoch == ended.epoch


def test_a_job_whose_watched_metric_is_never_a_number_keeps_its_last_epoch(yard: Yard) -> None:
    one_row = {"validation": 0.01, "test": 0.2}
    job = yard.submit(target="b", task="regression", split=one_row, early_stopping={"metric": "val_r2", "patience": 5})

    yard.work()

    ended, kept = yard.job(job.id), yard.checkpoints(job)
    assert (ended.status, ended.epoch) == (Status.SUCCEEDED, 5)
    assert {kind: row.epoch for kind, row in kept.items()} == {"best": 5, "last": 5}
    assert ended.test is not None
    assert ended.test["epoch"] == 5


def test_a_job_whose_database_was_away_goes_on_and_no_crash_is_counted(yard: Yard) -> None:
    undisturbed = yard.submit()
    yard.work()
    job = yard.submit()

    def lose_the_database() -> None:
        if yard.reports == 12:
            raise OperationalError("", {}, ConnectionError())

    yard.on_report = lose_the_database
    yard.work(checkpoint=0)
    yard.on_report = lambda: None
    yard.make_due(job)
    yard.work(checkpoint=0)

    ended = yard.job(job.id)
    assert (ended.status, ended.attempt, ended.crashes) == (Status.SUCCEEDED, 2, 0)
    assert without_seconds(yard.history(job)) == without_seconds(yard.history(undisturbed))


def test_the_recovery_points_of_a_job_that_failed_go(yard: Yard) -> None:
    job = yard.submit(epochs=10_000)
    yard.stop_after = 6
    yard.work(checkpoint=0)
    with yard.database.write() as connection:
        datasets.remove(connection, yard.dataset)

    yard.stop_after = math.inf
    yard.work()

    with yard.database.read() as connection:
        points = recovery.every(connection, job.number)
    assert yard.job(job.id).status is Status.FAILED
    assert (points, list((yard.storage.root / "recovery").iterdir())) == ([], [])


def test_no_checkpoint_is_beyond_the_point_that_a_damaged_job_falls_back_to(yard: Yard) -> None:
    job = yard.submit(epochs=10_000, checkpoints={"every": 1, "keep": 100})
    yard.stop_after = 14
    yard.work(checkpoint=0)
    with yard.database.read() as connection:
        points = recovery.every(connection, job.number)
    for point in points:
        yard.storage.delete(f"recovery/{point.id}")

    yard.stop_after = 1
    yard.work()

    with yard.database.read() as connection:
        kept = [row.epoch for row in checkpoints.of_job(connection, job.number)]
    assert max(kept, default=0) <= yard.job(job.id).epoch < points[-1].epoch


@pytest.mark.parametrize(("torch_before", "exact"), [(torch.__version__, True), ("1.0", False)])
def test_a_job_that_goes_on_with_another_torch_is_no_longer_exact(yard: Yard, torch_before: str, exact: bool) -> None:
    job = yard.submit()
    yard.stop_after = 6
    yard.work()
    before = yard.job(job.id).reproducibility
    assert before is not None
    with yard.database.write() as connection:
        change = update(jobs_table).where(jobs_table.c.number == job.number)
        connection.execute(change.values(reproducibility={**before, "torch": torch_before}))

    yard.stop_after = math.inf
    yard.work()

    after = yard.job(job.id).reproducibility
    assert after is not None
    assert (before["exact"], after["exact"]) == (True, exact)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path / "site"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("loss", "change", "output"),
    [("custom:focal", {}, "softmax"), ("custom:huber", {"target": "b", "features": ["a"], "task": "regression"}, "identity")],
    ids=["classes", "numbers"],
)
def test_a_custom_loss_trains_to_a_checkpoint_that_predicts(
    yard: Yard, loss: str, change: dict[str, object], output: str
) -> None:
    job = yard.submit(loss={"name": loss}, split={"validation": 0.2, "test": 0.2}, early_stopping={"patience": 100}, **change)

    yard.work()

    ended, best = yard.job(job.id), yard.checkpoints(job)["best"]
    history = [value for value in yard.history(job).val_loss if value is not None]
    assert (ended.status, len(history)) == (Status.SUCCEEDED, 30)
    assert history[-1] < history[0]
    assert ended.test is not None
    assert isinstance(ended.test["loss"], float)
    manifest = json.loads(yard.file(best, "model.json"))
    assert (manifest["output"], manifest["spec"]["loss"]) == (output, {"name": loss})
    session = InferenceSession(yard.file(best, "model.onnx"))
    features = np.ones((1, len(manifest["columns"])))
    label, *probabilities = session.run(None, {"features": features})
    assert label[0] in ("high", "low") if output == "softmax" else math.isfinite(label[0])
    assert [part.shape for part in probabilities] == ([(1, 2)] if output == "softmax" else [])


@pytest.mark.usefixtures("installed")
def test_a_custom_loss_of_several_columns_trains_to_a_checkpoint_that_predicts(yard: Yard) -> None:
    change = {"target": ["a", "b"], "features": ["size"], "task": "regression", "preprocessing": {"target": "standard"}}
    job = yard.submit(loss={"name": "custom:squared"}, **change)

    yard.work()

    best = yard.checkpoints(job)["best"]
    history = [value for value in yard.history(job).val_loss if value is not None]
    assert yard.job(job.id).status is Status.SUCCEEDED
    assert history[-1] < history[0] < 10  # of standardized columns, as the module gives it
    session = InferenceSession(yard.file(best, "model.onnx"))
    [label] = session.run(None, {"size": np.array([["high"], ["low"]], dtype=object)})
    assert label.shape == (2, 2)
    assert (label[0] > label[1]).all()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "failed: ArithmeticError: the operator divides by nothing"),
        ("trained", "has parameters (inner.weight, inner.bias)"),
        ("unmade", "cannot be loaded: TypeError"),
        ("absent", "is installed 0 times"),
    ],
)
def test_a_custom_loss_that_cannot_be_used_ends_its_own_job_alone(yard: Yard, name: str, words: str) -> None:
    bad, good = yard.submit(loss={"name": f"custom:{name}"}), yard.submit()

    yard.work()

    ended = yard.job(bad.id)
    assert (ended.status, ended.stop_reason, ended.error_code) == (Status.FAILED, *2 * [StopReason.INVALID_LOSS])
    assert f"The loss custom:{name} {words}" in str(ended.error_message)
    assert yard.job(good.id).status is Status.SUCCEEDED


@pytest.mark.usefixtures("installed")
def test_a_job_keeps_what_it_learned_until_its_loss_failed(yard: Yard) -> None:
    job = yard.submit(loss={"name": "custom:broken"}, epochs=10_000, split={"validation": 0.2, "test": 0.2})

    yard.work()

    ended, kept = yard.job(job.id), yard.checkpoints(job)
    assert ended.epoch > 0
    assert yard.history(job).epoch == list(range(1, ended.epoch + 1))
    assert kept["last"].epoch == ended.epoch
    assert ended.test is None


def test_memory_that_torch_is_refused_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**55)

    ending = failure_of(refused.value, RESOLVED, gpu=False)
    assert ending.reason is StopReason.OUT_OF_MEMORY
    assert str(estimate(RESOLVED)) in (ending.message or "")
    host = failure_of(refused.value, RESOLVED, gpu=True).message or ""
    assert host.startswith(f"The host ran out of memory. The job takes about {host_estimate(RESOLVED)}")
    full = RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`")
    assert failure_of(full, RESOLVED, gpu=True).reason is StopReason.OUT_OF_MEMORY
    assert failure_of(RuntimeError("other"), RESOLVED, gpu=False).reason is StopReason.INTERNAL_ERROR


@pytest.mark.parametrize("answers", [True, False])
def test_cublas_that_cannot_begin_is_a_lost_device_where_the_gpu_does_not_answer(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronize() -> None:
        if not answers:
            raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    error = RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`")

    assert is_device_lost(error, gpu=True) is not answers
    assert not is_device_lost(torch.OutOfMemoryError("CUDA out of memory."), gpu=True)


def test_a_job_that_runs_out_of_memory_is_told_what_it_takes_and_what_to_change(yard: Yard) -> None:
    job = yard.submit()

    def refuse() -> None:
        if yard.job(job.id).status is Status.RUNNING:
            raise MemoryError

    yard.on_report = refuse
    yard.work()

    message = yard.job(job.id).error_message or ""
    assert re.fullmatch(r"The training process ran out of memory. The job takes about \d+ MB \(data .*\): use .*\.", message)


def test_a_job_that_is_past_its_time_when_it_goes_on_ends_at_once(yard: Yard) -> None:
    job = yard.submit(epochs=10_000, max_seconds=3600)
    yard.stop_after = 10
    yard.work()
    left = yard.job(job.id)
    with yard.database.write() as connection:
        change = update(jobs_table).where(jobs_table.c.number == job.number)
        connection.execute(change.values(resolved_spec={**left.resolved_spec, "max_seconds": 1e-6}))

    yard.stop_after = math.inf
    yard.work()

    ended = yard.job(job.id)
    assert (ended.status, ended.stop_reason) == (Status.SUCCEEDED, StopReason.TIME_LIMIT)
    assert left.epoch <= ended.epoch <= left.epoch + 1


def test_a_worker_that_stops_while_a_job_is_prepared_gives_it_back(yard: Yard) -> None:
    job = yard.submit()
    yard.interrupted, yard.stop_after = True, 1
    yard.work()

    left = yard.job(job.id)
    assert (left.status, left.attempt, left.crashes, left.epoch) == (Status.QUEUED, 1, 0, 0)
    assert yard.events(job)[-1].type == "job.yielded"


class Refusing(Folder):
    """A storage for whose writes there is no memory."""

    def put(self, key: str, data: bytes) -> None:
        np.empty(1 << 50)


def test_memory_that_is_short_while_a_checkpoint_is_written_ends_the_job_by_name_and_not_the_process(yard: Yard) -> None:
    job, working = yard.submit(), yard.storage
    yard.storage = Refusing(working.root)
    yard.work(checkpoint=0)
    yard.storage = working
    good = yard.submit()
    yard.work()

    assert yard.job(job.id).stop_reason == StopReason.OUT_OF_MEMORY
    assert yard.job(good.id).status is Status.SUCCEEDED


def test_a_last_epoch_that_is_also_periodic_and_best_is_one_checkpoint_with_everything(yard: Yard) -> None:
    job = yard.submit(checkpoints={"every": 10, "keep": 1}, split={"validation": 0.0})

    yard.work(checkpoint=0)

    kept = yard.checkpoints(job)
    assert kept["periodic"].id == kept["last"].id
    assert "state.safetensors" in {file["name"] for file in kept["last"].files}
    for file in kept["last"].files:
        data = yard.file(kept["last"], file["name"])
        assert hashlib.sha256(data).hexdigest() == file["sha256"]


def test_a_job_that_is_cancelled_while_it_is_paused_keeps_what_was_learned(yard: Yard) -> None:
    job = yard.submit(epochs=10_000)
    yard.on_report = lambda: yard.ask(job, Status.PAUSING) if yard.reports == 12 else None
    yard.work()
    with yard.database.write() as connection:
        jobs.change_status(connection, job.number, old=Status.PAUSED, new=Status.CANCELLED)

    assert yard.checkpoints(job).keys() == {"best", "last"}
