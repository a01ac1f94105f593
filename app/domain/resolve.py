"""Spec resolution: what each default and each "auto" becomes for a dataset, or every reason why the job cannot be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.domain.cost import CostLimits, check_asked, check_parameters, check_rows
from app.domain.front import front_of
from app.domain.recipes import optimizer_for, unjudged, with_recipe
from app.domain.resolve_ensemble import check_folds, resolve_ensemble
from app.domain.resolve_features import (
    check_kinds,
    embeddings_of,
    inputs_of,
    kind_of,
    numeric_feature_columns_of,
    resolve_features,
)
from app.domain.resolve_findings import Findings
from app.domain.resolve_network import check_network, features_of, layers_of, parameters_of
from app.domain.resolve_own_datasets import check_own_datasets
from app.domain.resolve_split import SplitFacts, check_split, is_validated, resolve_split
from app.domain.resolve_target import Target, check_custom_loss, resolve_loss, resolve_standardizing
from app.domain.resolve_targets import Complete, resolve_targets
from app.domain.resolve_training import (
    check_calibration,
    check_class_weights,
    check_clipping,
    check_sample_weight,
    check_stopping,
    resolve_batch,
    resolve_device,
)
from app.domain.schema import Column, Kind
from app.domain.spec import JobSpec, Loss, ResolvedSpec

USUAL = CostLimits()
NO_FACTS = SplitFacts()


@dataclass(frozen=True)
class Resolved:
    """A spec in which nothing is open, and what its author should know."""

    spec: ResolvedSpec
    warnings: list[str]


def resolve(
    spec: JobSpec,
    *,
    columns: Sequence[Column],
    rows: int,
    facts: SplitFacts = NO_FACTS,
    limits: CostLimits = USUAL,
    complete: Complete | None = None,
    custom_losses: Collection[str] = (),
) -> Resolved:
    """Resolves a spec for a dataset of `rows` rows with these columns; what was resolved resolves to itself.

    `facts` is what its split needs to know beside them; nothing for a random split of the one dataset.
    `limits` are what a job may cost.
    `complete` tells how many rows have a value in each of some columns: needed where several target columns have gaps.
    `custom_losses` are the names, without `custom:`, that are installed.

    Raises Invalid: with all faults at once, by JSON Pointer into the spec.
    Raises NotSupported: the same, where all that is wrong is that this version lacks a feature.
    """
    findings = Findings()
    described = {column.name: column for column in columns}
    target = resolve_targets(spec, described, findings, rows=rows, complete=complete)
    features = resolve_features(spec, columns, findings)
    numeric = any(kind_of(spec, feature) is Kind.NUMERIC for feature in features)
    spec = with_recipe(spec, target.task if target else None, findings, numeric=numeric)
    spec = resolve_ensemble(spec, findings)
    if spec.recipe != "plain" and not is_validated(spec, facts):
        spec = unjudged(spec, findings)
    check_custom_loss(spec, custom_losses, findings)
    check_kinds(spec, described, findings)
    check_network(spec, findings)
    check_asked(spec, limits, findings)
    check_sample_weight(spec, described, findings)
    check_split(spec, described, findings)
    check_own_datasets(spec, facts, findings, target=target, features=features)
    check_stopping(spec, target, findings, validated=is_validated(spec, facts))
    check_class_weights(spec, target, findings)
    check_calibration(spec, target, findings, validated=is_validated(spec, facts))
    check_clipping(spec, target, findings)
    resolved = _complete(spec, target, features, rows=rows, facts=facts, limits=limits, findings=findings)
    findings.raise_faults()
    assert resolved is not None
    return Resolved(resolved, findings.warnings)


def _complete(
    spec: JobSpec,
    target: Target | None,
    features: Sequence[Column],
    *,
    rows: int,
    facts: SplitFacts,
    limits: CostLimits,
    findings: Findings,
) -> ResolvedSpec | None:
    """The resolved spec; None where target or split have a fault."""
    if target is None:
        return None
    loss = resolve_loss(spec, target, findings)
    standardizing = resolve_standardizing(spec, loss, target.task, findings)
    split, sizes = resolve_split(spec, target, facts, findings, rows=rows)
    featured = numeric_feature_columns_of(spec, features, findings)
    inputs = inputs_of(spec, features) + features_of(spec.network, featured)
    layers = layers_of(spec.network, inputs=inputs, outputs=_outputs(target, loss))
    embeddings = embeddings_of(spec, features)
    front = front_of(spec.network, layers, embeddings, columns=len(featured))
    networks = spec.ensemble.members if spec.ensemble else 1
    parameters = networks * parameters_of(spec.network, layers, embeddings, front)
    check_parameters(parameters, limits, findings)
    if sizes is None:
        return None
    check_rows(spec, networks * sizes.train, limits, findings)
    check_folds(spec, sizes.train, findings)
    batch_size = resolve_batch(spec, target.task, sizes.train, findings)
    decided = {
        "target": target.names,
        "features": [column.name for column in features],
        "task": target.task,
        "classes": target.classes,
        "preprocessing": spec.preprocessing.model_copy(update={"target": standardizing}),
        "split": split,
        "loss": loss,
        "batch_size": batch_size,
        "optimizer": optimizer_for(spec, target.task, batch_size),
        "device": resolve_device(spec, findings),
        "layers": layers,
        "embeddings": embeddings,
        "numeric_feature_columns": featured,
        "parameters": parameters,
    }
    return ResolvedSpec.model_validate(_as_asked(spec) | decided | sizes.as_rows())


def _as_asked(spec: JobSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in JobSpec.model_fields}


def _outputs(target: Target, loss: Loss) -> int:
    """One for each of several columns, else one number, one logit for bce, or one logit for each class."""
    if len(target.columns) > 1:
        return len(target.columns)
    return 1 if target.classes is None or loss.name == "bce" else len(target.classes)
