"""What a job reads of any dataset, and why another one than its own cannot be read so."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial

from app.domain.categories import category_flaw
from app.domain.columns import CategoricalColumn, FittedColumn, FittedTargets
from app.domain.kinds import Kind, StorageType
from app.domain.manifest import Manifest
from app.domain.resolve_features import can_be
from app.domain.resolve_training import why_not_a_weight
from app.domain.schema import Column, level_text

# Why a column of theirs is not what the job reads; None where it is.
Judge = Callable[[Column], str | None]


@dataclass(frozen=True)
class Feature:
    """How a feature is read: as what kind, the type that its cells had, and the texts of its levels where it has some."""

    kind: Kind
    type: StorageType
    levels: Sequence[str] = ()
    reach: tuple[float, float] | None = None
    """The least and the greatest number that the network can be given, where that is known."""

    def flaw(self, column: Column) -> str | None:
        """Why a column cannot be read so; None where it can. Of categories it may have any number."""
        if not column.distinct:
            return None
        if self.kind is Kind.CATEGORICAL:
            return category_flaw(self.type, self.levels, column)
        return None if can_be(column, self.kind) else f"is {column.kind}; the job reads it as {self.kind}."


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The columns by name, and what must be true of their cells."""

    features: Mapping[str, Feature]
    targets: Mapping[str, Set[str] | None]
    """The labels that are known of each target column, as texts; None for numbers."""
    sample_weight: str | None
    refuses_missing: bool
    refuses_negative: bool
    """Of a target of numbers."""

    def flaws(self, columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
        """Columns and what is wrong with them in a dataset of these.

        A category that only they have is one never seen, as in a prediction; a label is a fault, for it has no output.
        """
        theirs = {column.name: column for column in columns}
        for name, judge in self._judges():
            flaw = judge(theirs[name]) if name in theirs else "is not there."
            if flaw is not None:
                yield name, flaw

    def _judges(self) -> Iterator[tuple[str, Judge]]:
        yield from ((name, partial(self._feature_flaw, feature)) for name, feature in self.features.items())
        yield from ((name, partial(self._target_flaw, known)) for name, known in self.targets.items())
        if self.sample_weight is not None:
            yield self.sample_weight, why_not_a_weight

    def _feature_flaw(self, feature: Feature, column: Column) -> str | None:
        if (flaw := feature.flaw(column)) is not None:
            return flaw
        if column.infinite:
            return f"has {column.infinite} infinite value(s)."
        if feature.reach and not _is_within(column, feature.reach):
            return "has numbers that are too large for the network."
        if column.missing and self.refuses_missing:
            return f"has {column.missing} missing value(s), which the spec refuses."
        return None

    def _target_flaw(self, known: Set[str] | None, column: Column) -> str | None:
        if not column.distinct:
            return "has no values."
        if known is not None:
            return _label_flaw(known, column)
        if not can_be(column, Kind.NUMERIC):
            return f"is {column.kind}; the job's target is numeric."
        if column.infinite:
            return "has infinite values."
        if self.refuses_negative and (column.minimum or 0) < 0:
            return "has negative values, which poisson does not take."
        return None


def reading_of(manifest: Manifest) -> Reading:
    """What the job of a checkpoint read."""
    target = manifest.target
    parts = target.columns if isinstance(target, FittedTargets) else [target]
    return Reading(
        features={column.name: feature_of(column) for column in manifest.columns},
        targets={part.name: texts_of(part.classes) for part in parts},
        sample_weight=manifest.spec.sample_weight,
        refuses_missing=manifest.spec.preprocessing.missing == "error",
        refuses_negative=manifest.spec.loss.name == "poisson",
    )


def texts_of(labels: Sequence[bool | int | float | str] | None) -> Set[str] | None:
    """Labels as a reading knows them."""
    return None if labels is None else {level_text(label) for label in labels}


def feature_of(column: FittedColumn) -> Feature:
    """How a checkpoint reads a column."""
    if isinstance(column, CategoricalColumn):
        return Feature(Kind(column.kind), column.type, column.levels)
    return Feature(Kind(column.kind), column.type, reach=column.reach)


def _is_within(column: Column, reach: tuple[float, float]) -> bool:
    return column.minimum is None or column.maximum is None or (reach[0] <= column.minimum and column.maximum <= reach[1])


def _label_flaw(known: Set[str], column: Column) -> str | None:
    """Labels of another dataset must be among those of the job's own."""
    if column.levels is None or column.counts is None:
        return "is no set of labels."
    strange = sum(count for label, count in zip(column.levels, column.counts, strict=True) if level_text(label) not in known)
    return f"has labels that the job's own dataset lacks, in {strange} row(s)." if strange else None
