"""What the readers of requests know of a model, found out once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from app.domain.columns import FittedColumn, NumericColumn
from app.domain.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Features:
    """The columns in the order of the model's features."""

    columns: Sequence[FittedColumn]
    names: Sequence[str]
    known: frozenset[str]
    """The same names."""
    is_numeric: bool
    """Whether all are numbers, truth values among them."""
    has_probabilities: bool

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Of a checkpoint."""
        names = [column.name for column in manifest.columns]
        return cls(
            columns=manifest.columns,
            names=names,
            known=frozenset(names),
            is_numeric=all(isinstance(column, NumericColumn) for column in manifest.columns),
            has_probabilities=manifest.target.classes is not None,
        )
