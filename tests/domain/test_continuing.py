"""What must be as it was for a training to go on, as far as its state tells."""

import dataclasses
from collections.abc import Sequence

import pytest

from app.domain.continuing import Standing, check_continues
from app.domain.errors import Fault
from app.domain.manifest import Manifest
from app.domain.resolve_findings import Findings
from app.domain.spec import Ensemble, ResolvedSpec
from app.domain.spec.optimizers import Sgd
from tests.persistence.jobs import RESOLVED

STANDING = Standing(epoch=30, batch=0, latest=30, waited=0, seconds=1.0, moments=True)
ENDLESS = RESOLVED.model_copy(update={"epochs": 60})


def faults(resolved: ResolvedSpec, known: ResolvedSpec = RESOLVED, **standing: int | bool) -> Sequence[Fault]:
    findings = Findings()
    manifest = Manifest.model_construct(spec=known, provenance={"dataset_sha256": "0"})
    stood = dataclasses.replace(STANDING, **standing)  # type: ignore[arg-type]  # its fields are of both kinds
    check_continues(resolved, manifest, stood, hashes={"dataset_sha256": "0"}, findings=findings)
    return findings.faults


def test_the_same_training_for_longer_is_no_fault() -> None:
    assert faults(ENDLESS) == []


def test_without_the_optimizers_state_a_training_does_not_go_on_unless_it_has_none() -> None:
    [fault] = faults(ENDLESS, moments=False)
    plain = {"optimizer": Sgd(name="sgd")}

    assert fault.detail.startswith("Training had gone on")
    assert faults(ENDLESS.model_copy(update=plain), RESOLVED.model_copy(update=plain), moments=False) == []


def test_the_networks_of_an_ensemble_go_on_with_the_folds_they_had() -> None:
    def folded(folds: bool) -> ResolvedSpec:
        return ENDLESS.model_copy(update={"ensemble": Ensemble(members=3, folds=folds)})

    assert faults(folded(True), folded(True)) == []
    assert [fault.pointer for fault in faults(folded(False), folded(True))] == ["/ensemble"]


def test_patience_of_cycles_and_of_epochs_are_not_counted_alike() -> None:
    schedule = {"lr_schedule": {"name": "log_cosine"}, "epochs": 60}
    dump = RESOLVED.model_dump() | schedule
    by_cycle, by_epoch, without = (
        ResolvedSpec.model_validate(dump | {"early_stopping": rule}) for rule in ({"patience": "cycle"}, {"patience": 9}, None)
    )

    assert [fault.pointer for fault in faults(by_cycle, by_epoch)] == ["/early_stopping/patience"]
    assert [fault.pointer for fault in faults(by_epoch, by_cycle)] == ["/early_stopping/patience"]
    assert faults(by_cycle, by_cycle) == faults(by_cycle, without) == faults(without, by_cycle, waited=1) == []
    [fault] = faults(by_cycle, by_cycle, waited=1)
    assert (fault.pointer, fault.detail[:40]) == ("/early_stopping", "The training has waited for a cycle alre")


def test_means_of_more_epochs_are_not_compared_with_those_of_fewer() -> None:
    dump = RESOLVED.model_dump() | {"epochs": 60}
    one, three = (
        ResolvedSpec.model_validate(dump | {"early_stopping": {"patience": 9, "mean_epochs": epochs}}) for epochs in (1, 3)
    )

    assert [fault.pointer for fault in faults(three, one)] == ["/early_stopping/mean_epochs"]
    assert faults(three, three) == []


def test_metrics_of_clipped_predictions_and_of_others_are_not_of_one_history() -> None:
    assert [fault.pointer for fault in faults(ENDLESS.model_copy(update={"clip_predictions": True}))] == ["/clip_predictions"]
    assert faults(ENDLESS.model_copy(update={"calibration": "temperature"})) == []


@pytest.mark.parametrize("part", ["dataset", "validation_dataset", "test_dataset"])
def test_rows_of_other_bytes_are_another_training(part: str) -> None:
    findings, manifest = Findings(), Manifest.model_construct(spec=RESOLVED, provenance={"dataset_sha256": "0"})
    hashes = {"dataset_sha256": "0"} | {f"{part}_sha256": "1"}

    check_continues(ENDLESS, manifest, STANDING, hashes=hashes, findings=findings)

    assert [fault.pointer for fault in findings.faults] == [f"/{part}"]


def test_a_plateau_keeps_the_rate_that_it_reached() -> None:
    plateau = {"lr_schedule": {"name": "plateau"}}
    known = ResolvedSpec.model_validate(RESOLVED.model_dump() | plateau)
    longer = known.model_copy(update={"epochs": 60})
    faster = longer.model_copy(update={"optimizer": known.optimizer.model_copy(update={"learning_rate": 0.5})})

    assert faults(longer, known) == []
    assert [fault.pointer for fault in faults(faster, known)] == ["/optimizer/learning_rate"]
