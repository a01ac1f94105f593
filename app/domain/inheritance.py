"""What a job takes over from a checkpoint that it starts from, and what must be alike for that."""

from collections.abc import Sequence
from typing import Final

from app.domain.columns import FittedTargets
from app.domain.front import front_of_spec
from app.domain.kinds import Kind
from app.domain.manifest import Manifest
from app.domain.output import output_activation
from app.domain.reading import feature_of
from app.domain.resolve_features import kind_of
from app.domain.resolve_findings import Findings
from app.domain.resolve_network import parameters_of
from app.domain.schema import Column, level_text
from app.domain.spec import JobSpec, ResolvedSpec

UNFIT: Final = "checkpoint_unfit"
# The fields that `completed` may set.
COMPLETED = ("columns", "features", "task")


def completed(spec: JobSpec, manifest: Manifest) -> JobSpec:
    """The spec with what it leaves open as the checkpoint has it: task, features, and how columns are read."""
    kinds = {column.name: Kind(column.kind) for column in manifest.columns}
    changes: dict[str, object] = {"columns": kinds | spec.columns}
    if spec.features is None:
        changes["features"] = manifest.spec.features
    if spec.task == "auto":
        changes["task"] = manifest.spec.task
    return spec.model_copy(update=changes)


def taken_over(resolved: ResolvedSpec, manifest: Manifest, columns: Sequence[Column]) -> tuple[ResolvedSpec, list[str]]:
    """The resolved spec with the checkpoint's classes and widths, and warnings; `columns` are those of its dataset.

    Raises Invalid: the checkpoint's network is not that of the spec, by JSON Pointer into the spec.
    """
    findings, known = Findings(), manifest.spec
    described = {column.name: column for column in columns}
    _check_columns(resolved, manifest, described, findings)
    _check_alike(resolved, known, findings)
    if not findings.faults:
        _check_labels(resolved, manifest, described, findings)
    findings.raise_faults()
    _warn_of_levels(manifest, described, findings)
    _warn_of_split(resolved, known, findings)
    names = ("classes", "layers", "embeddings", "numeric_feature_columns")
    taken = resolved.model_copy(update={name: getattr(known, name) for name in names})
    parameters = taken.networks * parameters_of(taken.network, taken.layers, taken.embeddings, front_of_spec(taken))
    return taken.model_copy(update={"parameters": parameters}), findings.warnings


def _check_columns(resolved: ResolvedSpec, manifest: Manifest, described: dict[str, Column], findings: Findings) -> None:
    if resolved.features != manifest.spec.features:
        _unfit(findings, "features", f"{len(manifest.columns)} features in an order of their own")
        return
    for column in manifest.columns:
        kind = kind_of(resolved, described[column.name])
        if kind != column.kind:
            _unfit(findings, "columns", f"{column.name!r} as {column.kind}, not as {kind}", column.name)
        elif flaw := feature_of(column).flaw(described[column.name]):
            findings.fault("dataset", detail=f"Column {column.name!r} of the dataset {flaw}", code=UNFIT)


def _check_alike(resolved: ResolvedSpec, known: ResolvedSpec, findings: Findings) -> None:
    if resolved.target != known.target:
        _unfit(findings, "target", f"the target {known.target!r}")
    if resolved.task is not known.task:  # loss and preprocessing follow from it
        _unfit(findings, "task", f"the task {known.task}")
    else:
        _check_ends(resolved, known, findings)
    if resolved.networks != known.networks:
        _unfit(findings, "ensemble", f"{known.networks} network(s)")
    for name in ("hidden_layers", "normalization"):
        there = getattr(known.network, name)
        if getattr(resolved.network, name) != there:
            _unfit(findings, "network", f"{name} {there}", name)
    if resolved.network.numeric_features != known.network.numeric_features:
        _unfit(findings, "network", "other numeric_features, which come with its weights", "numeric_features")


def _check_ends(resolved: ResolvedSpec, known: ResolvedSpec, findings: Findings) -> None:
    """Before its first layer and behind its last."""
    if _output(resolved) != _output(known):
        _unfit(findings, "loss", f"the output of {known.loss.name}, which {resolved.loss.name} cannot go on with")
    if resolved.preprocessing != known.preprocessing:
        _unfit(findings, "preprocessing", "another preprocessing, which comes with its weights")


def _output(spec: ResolvedSpec) -> tuple[str, bool]:
    """What the last layer's numbers mean, and whether two classes are one number."""
    return output_activation(spec), spec.loss.name == "bce"


def _check_labels(resolved: ResolvedSpec, manifest: Manifest, described: dict[str, Column], findings: Findings) -> None:
    """Labels that the checkpoint has no output for."""
    targets = manifest.target.columns if isinstance(manifest.target, FittedTargets) else [manifest.target]
    for target in targets:
        if target.classes is None:
            continue
        known = {level_text(label) for label in target.classes}
        strange = sum(level_text(level) not in known for level in described[target.name].levels or ())
        if strange:
            detail = f"Column {target.name!r} has {strange} label(s) that the checkpoint does not know."
            findings.fault("dataset", detail=detail, code=UNFIT)


def _warn_of_levels(manifest: Manifest, described: dict[str, Column], findings: Findings) -> None:
    for column in manifest.columns:
        if column.kind != "categorical":
            continue
        unseen = {level_text(level) for level in described[column.name].levels or ()} - {*column.levels}
        if unseen:
            findings.warn(
                f"Column {column.name!r} has {len(unseen)} categories that the checkpoint never saw; they are read as unseen."
            )


def _warn_of_split(resolved: ResolvedSpec, known: ResolvedSpec, findings: Findings) -> None:
    """Rows that taught the checkpoint judge nothing."""
    held_out = resolved.judged_rows or resolved.test_rows
    if held_out and resolved.dataset == known.dataset and _held_out_by(resolved) != _held_out_by(known):
        findings.warn(
            "The split or the seed differs from the checkpoint's: rows that are held out here may have trained it, and their "
            "losses then look better than they are."
        )


def _held_out_by(spec: ResolvedSpec) -> tuple[object, ...]:
    return spec.split, spec.seed, spec.ensemble


def _unfit(findings: Findings, block: str, what: str, *more: str) -> None:
    findings.fault(block, *more, detail=f"The checkpoint has {what}.", code=UNFIT)
