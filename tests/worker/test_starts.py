"""Jobs that start from a checkpoint: what they take of it, and that a training which goes on is the one it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.domain.caller import Caller
from app.domain.clone import CloneSpec
from app.domain.cost import CostLimits
from app.domain.errors import Invalid
from app.domain.job import Status, StopReason
from app.domain.quota import Quota
from app.persistence import jobs, recovery
from app.persistence.rows import JobRow
from app.services.admission import Admission
from app.services.checkpoints import Checkpoints
from app.services.clones import Clones
from app.services.jobs import Jobs, JobView
from app.services.quotas import Quotas
from app.services.resolver import Resolver
from app.services.starts import Starts
from tests.worker.yard import Killed, Yard, without_seconds

FRONT = {
    "hidden_layers": [4],
    "numeric_features": {"kind": "piecewise_linear", "bins": 4, "width": 2},
    "input_scaling": True,
    "parametrization": "ntk",
    "initialization": "data_driven",
}
# Every kind of state that a training goes on from.
SPECS: dict[str, dict[str, Any]] = {
    "adam": {},
    "full batch": {"batch_size": "full", "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    "plain steps": {"optimizer": {"name": "sgd", "learning_rate": 0.1}, "split": {"validation": 0.0}},
    "plateau": {"lr_schedule": {"name": "plateau", "patience": 1}, "optimizer": {"name": "adam", "learning_rate": 0.1}},
    "dropout and batch normalization": {"network": {"hidden_layers": [4], "dropout": 0.2, "normalization": "batch"}},
    "patience": {"early_stopping": {"metric": "val_accuracy", "patience": 1000}, "optimizer": {"name": "nadam"}},
    "a front and an NTK network": {"network": FRONT, "parameter_groups": {"bias": {"learning_rate_factor": 0.1}}},
    "thinned": {"record_every": 5, "checkpoints": {"every": 8}},
}


class Deaf:
    """Nobody hears it, and nobody has to."""

    def ring(self, job_id: str, device: str) -> None:
        """See Bell."""

    def check(self) -> bool:
        """See Bell."""
        return False


def clones(yard: Yard) -> tuple[Clones, Jobs]:
    resolver = Resolver(yard.database, yard.storage, limits=CostLimits(parameters=10_000), custom_losses=())
    admission = Admission(yard.database, memory=1 << 40)
    made = Jobs(yard.database, yard.storage, Deaf(), resolver=resolver, admission=admission, quotas=Quotas(Quota()))
    starts = Starts(yard.database, yard.storage, Checkpoints(yard.database, yard.storage))
    return Clones(made, resolver, admission, starts), made


def clone(yard: Yard, job: JobRow, kind: str = "last", *, continues: bool = False, **body: Any) -> JobRow:
    """A job that starts from one of another job's checkpoints."""
    made: list[JobView] = []
    asked = CloneSpec.model_validate({"from_checkpoint": yard.checkpoints(job)[kind].id, "continue": continues, **body})
    clones(yard)[0].create(Caller(), job.id, asked, lambda connection, view: made.append(view))
    return made[0].row


def trained(yard: Yard, **spec: Any) -> JobRow:
    job = yard.submit(**spec)
    yard.work()
    return yard.job(job.id)


def assert_same_training(yard: Yard, one: JobRow, other: JobRow) -> None:
    ours, theirs = yard.job(one.id), yard.job(other.id)
    assert (ours.status, ours.epoch, ours.stop_reason) == (theirs.status, theirs.epoch, theirs.stop_reason)
    assert (ours.best, ours.latest) == (theirs.best, theirs.latest)
    assert without_seconds(yard.history(one)) == without_seconds(yard.history(other))
    assert yard.history(one).learning_rate == yard.history(other).learning_rate
    for kind in ("best", "last"):
        assert yard.weights(yard.checkpoints(one)[kind]) == yard.weights(yard.checkpoints(other)[kind])


@pytest.mark.parametrize("case", SPECS)
def test_a_training_that_goes_on_ends_with_the_bits_of_one_that_never_stopped(yard: Yard, case: str) -> None:
    whole, short = trained(yard, **SPECS[case], epochs=24), trained(yard, **SPECS[case], epochs=12)

    longer = clone(yard, short, continues=True, set={"epochs": 24})
    assert (longer.epoch, longer.start_epoch) == (12, 12)
    yard.work()

    assert_same_training(yard, longer, whole)
    seconds = yard.history(longer).seconds
    assert seconds == sorted(seconds)
    assert (yard.job(longer.id).reproducibility or {})["exact"] is True


def test_a_cancelled_training_goes_on_within_its_epoch(yard: Yard) -> None:
    whole, job = trained(yard), yard.submit()
    yard.on_report = lambda: yard.ask(job, Status.CANCELLING) if yard.reports == 12 else None
    yard.work()
    yard.on_report = lambda: None

    again = clone(yard, job, continues=True)
    [point] = yard.points(again)
    yard.work()

    assert 0 < point.epoch == yard.job(job.id).epoch < 30
    assert_same_training(yard, again, whole)


def test_a_member_of_a_pack_goes_on_alone_in_its_old_seat(yard: Yard) -> None:
    def pack(epochs: int) -> list[JobRow]:
        jobs = [yard.submit(pack=True, seed=seed, epochs=epochs) for seed in (1, 2, 3)]
        yard.work()
        return jobs

    wholes, shorts = pack(16), pack(8)

    longer = clone(yard, shorts[1], continues=True, set={"epochs": 16})
    again = clone(yard, shorts[1], continues=True, set={"epochs": 16})
    yard.work()

    assert (yard.job(longer.id).stack_size, yard.job(longer.id).stack_position) == (3, 1)
    for one in (longer, again):
        assert_same_training(yard, one, wholes[1])


def test_a_job_from_weights_begins_with_them_and_with_nothing_else(yard: Yard) -> None:
    first = trained(yard, batch_size="full")
    longer = clone(yard, first, continues=True, set={"epochs": 31})
    begun = clone(yard, first, set={"epochs": 5, "network.dropout": 0.0})
    yard.work()

    # With one full batch the loss of an epoch is that before its step.
    assert yard.history(begun).train_loss[0] == yard.history(longer).train_loss[30]
    assert yard.history(begun).epoch == [1, 2, 3, 4, 5]
    assert (yard.job(begun.id).start_epoch, yard.job(begun.id).start_checkpoint) == (0, yard.checkpoints(first)["last"].id)


def test_a_front_begins_as_what_multiplies_to_the_weights(yard: Yard) -> None:
    first = trained(yard, network=FRONT, batch_size="full", epochs=6)
    longer = clone(yard, first, continues=True, set={"epochs": 7})
    begun = clone(yard, first, set={"epochs": 2, "network.input_scaling": False})
    yard.work()

    assert yard.history(begun).train_loss[0] == pytest.approx(yard.history(longer).train_loss[6], rel=1e-5)
    assert yard.job(begun.id).status is Status.SUCCEEDED


def test_weights_of_the_best_epoch_start_a_job_too(yard: Yard) -> None:
    first = trained(yard, epochs=5)

    begun = clone(yard, first, "best", set={"epochs": 2, "optimizer.name": "sgd"})
    yard.work()

    assert yard.job(begun.id).status is Status.SUCCEEDED


OTHER = "a,b,size,more\n" + "".join(f"{a},{b},low,{a}\n" for a in range(5, 12) for b in range(3)) + "11,11,high,2\n" * 9


def manifest(yard: Yard, job: JobRow) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(yard.file(yard.checkpoints(job)["last"], "model.json"))
    return document


def test_rows_of_another_dataset_are_read_as_the_checkpoint_reads_them(yard: Yard) -> None:
    first = trained(yard)
    other = yard.upload(OTHER)

    begun = clone(yard, first, set={"dataset": other, "epochs": 3})
    yard.work()

    ours, theirs = manifest(yard, begun), manifest(yard, first)
    assert yard.job(begun.id).status is Status.SUCCEEDED
    assert (ours["columns"], ours["target"]) == (theirs["columns"], theirs["target"])
    assert (begun.spec["dataset"], begun.resolved_spec["features"]) == (other, ["a", "b"])
    assert "columns" not in begun.spec


THREE = "a,c,y\n" + "".join(f"{i},{'uvw'[i % 3]},{'xyz'[i % 3]}\n" for i in range(60))
TWO = "a,c,y\n" + "".join(f"{i},{'uq'[i % 2]},{'xz'[i % 2]}\n" for i in range(40))


def test_a_class_without_a_row_stays_and_a_new_category_is_unseen(yard: Yard) -> None:
    first = trained(yard, dataset=yard.upload(THREE), target="y", epochs=5)

    begun = clone(yard, first, set={"dataset": yard.upload(TWO)})
    yard.work()

    assert yard.job(begun.id).status is Status.SUCCEEDED, yard.job(begun.id).error_message
    assert (begun.resolved_spec["classes"], begun.resolved_spec["layers"]) == (["x", "y", "z"], [4, 4, 3])
    assert begun.warnings == ["Column 'c' has 1 categories that the checkpoint never saw; they are read as unseen."]


def test_a_label_that_the_checkpoint_does_not_know_is_refused(yard: Yard) -> None:
    first = trained(yard, dataset=yard.upload(TWO), target="y", epochs=5)

    with pytest.raises(Invalid) as refused:
        clone(yard, first, set={"dataset": yard.upload(THREE), "task": "binary"})
    with pytest.raises(Invalid) as unknown:
        clone(yard, first, set={"dataset": yard.upload(TWO.replace(",z", ",w"))})

    assert [fault.pointer for fault in refused.value.faults] == ["/set/task"]
    assert [(fault.pointer, fault.detail) for fault in unknown.value.faults] == [
        ("/set/dataset", "Column 'y' has 1 label(s) that the checkpoint does not know.")
    ]


@pytest.mark.parametrize(
    ("set", "where"),
    [
        ({"network.hidden_layers": [5]}, "/set/network.hidden_layers"),
        ({"network": {"hidden_layers": [4], "normalization": "layer"}}, "/set/network/normalization"),
        ({"network.numeric_features": {"kind": "periodic"}}, "/set/network.numeric_features"),
        ({"features": ["b", "a"]}, "/set/features"),
        ({"features": ["a"]}, "/set/features"),
        ({"target": "a", "task": "regression", "features": ["b"]}, "/set/features /set/target /set/task"),
        ({"columns": {"a": "categorical"}}, "/set/columns/a"),
        ({"preprocessing.numeric": "robust"}, "/set/preprocessing.numeric"),
        ({"loss": {"name": "focal"}}, "/set/loss"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_checkpoint_is_refused_where_it_is_set(yard: Yard, set: Mapping[str, Any], where: str) -> None:
    first = trained(yard, epochs=2)

    with pytest.raises(Invalid) as refused:
        clone(yard, first, set=set)

    assert " ".join(sorted({fault.pointer for fault in refused.value.faults})) == where


@pytest.mark.parametrize(
    ("set", "where"),
    [
        ({}, "/from_checkpoint"),
        ({"epochs": 30}, "/set/epochs"),
        ({"epochs": 60, "seed": 8}, "/set/seed"),
        ({"epochs": 60, "batch_size": 20}, "/set/batch_size"),
        ({"epochs": 60, "split.validation": 0.3}, "/set/split.validation"),
        ({"epochs": 60, "optimizer": {"name": "sgd"}}, "/set/optimizer/name"),
        ({"epochs": 60, "network.activation": "tanh"}, "/set/network.activation"),
        ({"epochs": 60, "network.input_scaling": True}, "/set/network.input_scaling"),
        ({"epochs": 60, "early_stopping": {"metric": "val_accuracy"}}, "/set/early_stopping"),
        ({"epochs": 60, "class_weights": "balanced"}, "/set/class_weights"),
        ({"epochs": 60, "record_every": 2}, "/set/record_every"),
        ({"epochs": 60, "precision": "fp64"}, "/set/precision"),
    ],
    ids=str,
)
def test_another_training_is_no_continuation(yard: Yard, set: Mapping[str, Any], where: str) -> None:
    first = trained(yard)

    with pytest.raises(Invalid) as refused:
        clone(yard, first, continues=True, set=set)

    assert [fault.pointer for fault in refused.value.faults] == [where]
    assert not list((yard.storage.root / "recovery").glob("*"))


def test_what_shapes_no_epoch_before_may_differ(yard: Yard) -> None:
    first = trained(yard)
    set = {
        "epochs": 40,
        "optimizer.learning_rate": 0.5,
        "lr_schedule": {"name": "cosine"},
        "network.dropout": 0.1,
        "early_stopping": {"patience": 500},
        "gradient_clip_norm": 1.0,
        "checkpoints": {"every": 5},
        "name": "longer",
    }

    longer = clone(yard, first, continues=True, set=set)
    yard.work()

    assert (yard.job(longer.id).status, yard.job(longer.id).epoch) == (Status.SUCCEEDED, 40)
    assert yard.history(longer).train_loss[:30] == yard.history(first).train_loss


def test_a_training_that_stopped_early_goes_on_with_more_patience_only(yard: Yard) -> None:
    spec = {"early_stopping": {"patience": 2}, "optimizer": {"name": "adam", "learning_rate": 0.5}, "epochs": 500}
    first = trained(yard, **spec, lr_schedule={"name": "plateau", "patience": 1000})
    assert first.stop_reason == StopReason.EARLY_STOPPING

    with pytest.raises(Invalid, match="waited 2 epochs already"):
        clone(yard, first, continues=True)
    longer = clone(yard, first, continues=True, set={"early_stopping": None, "epochs": first.epoch + 3})
    yard.work()

    assert yard.job(longer.id).epoch == first.epoch + 3


def test_a_training_that_had_diverged_does_not_go_on_but_its_weights_may(yard: Yard) -> None:
    first = trained(yard, optimizer={"name": "sgd", "learning_rate": 1e18}, epochs=50, batch_size="full")
    assert first.stop_reason == StopReason.NON_FINITE_LOSS

    with pytest.raises(Invalid, match="had diverged"):
        clone(yard, first, continues=True)


@pytest.mark.parametrize("continues", [True, False])
def test_a_job_starts_also_when_what_it_started_from_is_gone(yard: Yard, continues: bool) -> None:
    first = trained(yard)
    whole = trained(yard, epochs=40)

    begun = clone(yard, first, continues=continues, set={"epochs": 40})
    clones(yard)[1].delete(Caller(), first.id)
    yard.work()

    assert yard.job(begun.id).status is Status.SUCCEEDED
    assert list((yard.storage.root / "recovery").glob("*")) == []
    if continues:
        assert_same_training(yard, begun, whole)


def test_a_checkpoint_that_is_not_there_is_refused(yard: Yard) -> None:
    first = trained(yard, epochs=2)

    with pytest.raises(Invalid) as refused:
        clone(yard, first, from_checkpoint="ckpt_none")

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/from_checkpoint", "not_found")]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_damaged_start_ends_the_job_and_begins_no_other_training(yard: Yard) -> None:
    begun = clone(yard, trained(yard, epochs=2), set={"epochs": 5})
    [point] = yard.points(begun)
    flip(yard.storage.root / recovery_path(point.id))

    yard.work()

    ended = yard.job(begun.id)
    assert (ended.stop_reason, ended.epoch) == (StopReason.INVALID_DATA, 0)
    assert "clone it again" in (ended.error_message or "")


def recovery_path(id: str) -> str:
    return f"recovery/{id}/state.safetensors"


def test_a_job_whose_own_points_are_all_damaged_goes_on_from_its_start(yard: Yard) -> None:
    first, whole = trained(yard), trained(yard, epochs=60)
    longer = clone(yard, first, continues=True, set={"epochs": 60})

    def die() -> None:
        if yard.reports == 12:
            raise Killed

    yard.on_report = die
    with pytest.raises(Killed):
        yard.work(checkpoint=0)
    yard.on_report = lambda: None
    yard.bury()
    points = yard.points(longer)
    own = [point for point in points if point.attempt != recovery.START]
    assert (len(own), len(points)) == (recovery.KEPT, recovery.KEPT + 1)
    for point in own:
        flip(yard.storage.root / recovery_path(point.id))
    yard.work()

    assert_same_training(yard, longer, whole)


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.9), (0.9, 0.0)])
def test_moments_cannot_begin_or_end_within_a_training(yard: Yard, before: float, after: float) -> None:
    first = trained(yard, optimizer={"name": "sgd", "learning_rate": 0.1, "momentum": before})

    with pytest.raises(Invalid) as refused:
        clone(yard, first, continues=True, set={"epochs": 60, "optimizer.momentum": after})

    assert [fault.pointer for fault in refused.value.faults] == ["/set/optimizer.momentum"]


def test_a_continued_job_that_is_cancelled_at_once_ends_with_its_last_epoch(yard: Yard) -> None:
    first = trained(yard, record_every=7)
    longer = clone(yard, first, continues=True, set={"epochs": 60_000})
    yard.on_report = lambda: yard.ask(longer, Status.CANCELLING)

    yard.work()

    ended = yard.job(longer.id)
    assert ended.status is Status.CANCELLED
    assert yard.history(longer).epoch[-1] == ended.epoch


def test_a_clone_that_is_cancelled_before_it_began_leaves_nothing(yard: Yard) -> None:
    longer = clone(yard, trained(yard), continues=True, set={"epochs": 60})

    clones(yard)[1].cancel(Caller(), longer.id)

    assert yard.points(longer) == []
    assert list((yard.storage.root / "recovery").glob("*")) == []
    with yard.database.read() as connection:
        found = jobs.find(connection, longer.id, project_id=longer.project_id)
    assert found is not None
    assert (found.status, found.epoch) == (Status.CANCELLED, 30)
