"""A job that goes on where a checkpoint's training stood: what must be as it was, for it to be the same training."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.inheritance import UNFIT
from app.domain.manifest import Manifest
from app.domain.resolve_findings import Findings
from app.domain.spec import EarlyStopping, ResolvedSpec

# What is computed from these changes with them: the numbers before and after would not be of one training.
SAME = (
    "loss", "class_weights", "sample_weight", "split", "batch_size", "seed", "precision", "record_every", "streaming", "window",
    "clip_predictions", "ensemble",
)  # fmt: skip
DATASETS = ("dataset", "validation_dataset", "test_dataset")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a training stood, as its state tells: finished epochs and batches, the newest epoch and how long it had waited."""

    epoch: int
    batch: int
    latest: int
    waited: int
    seconds: float
    moments: bool
    """False where training had gone on beyond the state when it was decided to end there."""


def check_continues(
    resolved: ResolvedSpec, manifest: Manifest, standing: Standing, *, hashes: Mapping[str, str], findings: Findings
) -> None:
    """Notes what differs, by place in the spec; `hashes` are the SHA-256 of the new job's datasets."""
    known = manifest.spec
    for name in SAME:
        if getattr(resolved, name) != getattr(known, name):
            _differs(findings, name)
    for name in DATASETS:
        if hashes.get(f"{name}_sha256") != manifest.provenance.get(f"{name}_sha256"):
            _differs(findings, name)
    for name in ("activation", "input_scaling"):
        if getattr(resolved.network, name) != getattr(known.network, name):
            _differs(findings, "network", name)
    _check_steps(resolved, known, standing, findings)
    _check_end(resolved, known, standing, findings)


def _check_steps(resolved: ResolvedSpec, known: ResolvedSpec, standing: Standing, findings: Findings) -> None:
    if resolved.optimizer.name != known.optimizer.name:
        _differs(findings, "optimizer", "name")
    elif _has_moments(resolved) != _has_moments(known):
        _differs(findings, "optimizer", "momentum")
    elif not standing.moments and _has_moments(resolved):
        detail = "Training had gone on when it was decided to end at this epoch: its optimizer's state is not that of it."
        findings.fault(detail=f"{detail} Leave `continue` out to start from its weights.", code=UNFIT)
    plateau = resolved.lr_schedule.name == known.lr_schedule.name == "plateau"
    if plateau and resolved.optimizer.learning_rate != known.optimizer.learning_rate:
        detail = "The plateau schedule goes on with the rate that it had reached."
        findings.fault("optimizer", "learning_rate", detail=detail, code=UNFIT)


def _has_moments(spec: ResolvedSpec) -> bool:
    return spec.optimizer.name != "sgd" or spec.optimizer.momentum > 0


def _check_end(resolved: ResolvedSpec, known: ResolvedSpec, standing: Standing, findings: Findings) -> None:
    if standing.latest != standing.epoch:
        detail = "The training had diverged. Leave `continue` out to start from its last good weights."
        findings.fault(detail=detail, code=UNFIT)
    if resolved.epochs <= standing.epoch:
        detail = f"The checkpoint is of epoch {standing.epoch} already: set more."
        findings.fault("epochs", detail=detail, code=UNFIT)
    if _watched(resolved) != _watched(known):
        detail = f"The best epoch so far was chosen by {_watched(known)}."
        findings.fault("early_stopping", detail=detail, code=UNFIT)
    elif _mean_epochs(resolved) != _mean_epochs(known):
        _differs(findings, "early_stopping", "mean_epochs")
    elif resolved.early_stopping and known.early_stopping and _by_cycle(resolved) != _by_cycle(known):
        _differs(findings, "early_stopping", "patience")
    elif resolved.early_stopping and standing.waited >= most_waited(resolved.early_stopping):
        waited = "for a cycle" if _by_cycle(resolved) else f"{standing.waited} epochs"
        detail = f"The training has waited {waited} already: set more patience, or early_stopping to null."
        findings.fault("early_stopping", detail=detail, code=UNFIT)


def most_waited(rule: EarlyStopping) -> int:
    """The epochs, or cycles, that may bring nothing."""
    return 1 if rule.patience == "cycle" else rule.patience


def _by_cycle(spec: ResolvedSpec) -> bool:
    return spec.early_stopping is not None and spec.early_stopping.patience == "cycle"


def _mean_epochs(spec: ResolvedSpec) -> int:
    return spec.early_stopping.mean_epochs if spec.early_stopping else 1


def _watched(spec: ResolvedSpec) -> str:
    return spec.early_stopping.metric if spec.early_stopping else "val_loss"


def _differs(findings: Findings, *place: str) -> None:
    findings.fault(*place, detail="To continue a training it must be as it was.", code=UNFIT)
