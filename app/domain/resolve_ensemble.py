"""The ensemble: whether its networks validate on folds, and what it cannot go with."""

from app.domain.resolve_findings import Findings
from app.domain.spec import JobSpec


def resolve_ensemble(spec: JobSpec, findings: Findings) -> JobSpec:
    """The spec with `folds` decided; with them no row is held out for validation alone."""
    ensemble = spec.ensemble
    if ensemble is None:
        return spec
    named = _named_validation(spec)
    folds = named is None if ensemble.folds == "auto" else ensemble.folds
    if folds and named is not None:
        findings.fault("ensemble", "folds", detail=f"With folds every row is validated on once, but {named}.")
    if spec.preprocessing.categorical == "embedding":
        findings.unsupported("preprocessing", "categorical", what="An ensemble with embeddings")
    split = spec.split.model_copy(update={"validation": 0.0} if folds else {})
    return spec.model_copy(update={"ensemble": ensemble.model_copy(update={"folds": folds}), "split": split})


def check_folds(spec: JobSpec, train_rows: int, findings: Findings) -> None:
    """Notes folds of which a network would see none."""
    if spec.ensemble and spec.ensemble.folds is True and train_rows < 2:
        findings.fault("ensemble", "folds", detail="Folds need at least two rows to train on.")


def _named_validation(spec: JobSpec) -> str | None:
    """What says which rows validate, where something does."""
    if spec.validation_dataset is not None:
        return "validation_dataset names others"
    if spec.split.method != "random":
        return f"the split is by {spec.split.method}"
    if "validation" in spec.split.model_fields_set and spec.split.validation:
        return "split.validation holds some out"
    return None
