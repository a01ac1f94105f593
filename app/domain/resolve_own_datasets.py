"""Datasets of one's own for validation and test: whether they have what the job reads, as it reads it."""

from collections.abc import Sequence

from app.domain.reading import Feature, Reading, texts_of
from app.domain.resolve_features import kind_of
from app.domain.resolve_findings import Findings
from app.domain.resolve_split import HELD_OUT, SplitFacts, own_dataset
from app.domain.resolve_target import Target
from app.domain.schema import Column, level_text
from app.domain.spec import JobSpec


def check_own_datasets(
    spec: JobSpec, facts: SplitFacts, findings: Findings, *, target: Target | None, features: Sequence[Column]
) -> None:
    """Notes a dataset that is not there, and its columns that are not what the job's own are."""
    reading = _reading(spec, target, features)
    for part in HELD_OUT:
        id, own = own_dataset(spec, part), getattr(facts, part)
        if id is None:
            continue
        place = f"{part}_dataset"
        if own is None:
            findings.fault(place, detail="There is no such dataset.", code="not_found")
            continue
        if id == spec.dataset:
            findings.warn(f"The {part} rows are the rows of the job's own dataset: they were learned from.")
        for name, flaw in reading.flaws(own.columns):
            findings.fault(place, detail=f"Column {name!r} of the dataset {id} {flaw}")


def _reading(spec: JobSpec, target: Target | None, features: Sequence[Column]) -> Reading:
    """Of a target with a fault nothing."""
    targets = target.columns if target else []
    labels = target is not None and target.classes is not None
    return Reading(
        features={feature.name: _feature(spec, feature) for feature in features},
        targets={column.name: texts_of(column.levels or []) if labels else None for column in targets},
        sample_weight=spec.sample_weight,
        refuses_missing=spec.preprocessing.missing == "error",
        refuses_negative=spec.loss.name == "poisson",
    )


def _feature(spec: JobSpec, column: Column) -> Feature:
    return Feature(kind_of(spec, column), column.type, [level_text(level) for level in column.levels or ()])
