"""Fitted columns: how each raw column becomes inputs of the network, with every number that was learned for it.

The same description drives the training arrays (app/tabular/preprocessing.py, numpy), `model.onnx` (worker/engine/export.py)
and the parsing of prediction requests; it stands in `model.json`.
"""

import sys
from itertools import pairwise
from math import isfinite
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.schema import StorageType

MOST = sys.float_info.max
FARTHEST = 1e150
"""Where a number that is clipped smoothly is cut before: its square must be a number, too."""


LARGEST_INPUT = 1e30
"""Of a number that is scaled: float32 ends at 3e38, and the network's sums of products must be numbers, too."""


class _Fitted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: StorageType


class Bins(BaseModel):
    """Of a scaled number z one feature for each bin between `knots` k: clip((z - k_i) / (k_i+1 - k_i), 0, 1).

    A bin without width is always 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["piecewise_linear"] = "piecewise_linear"
    knots: list[float]

    @property
    def count(self) -> int:
        """How many features a number has."""
        return len(self.knots) - 1

    @property
    def slopes(self) -> list[float]:
        """1 / the width of each bin; 0 where that is nothing that can be divided by."""
        found = [1 / (high - low) if high > low else 0.0 for low, high in pairwise(self.knots)]
        return [slope if isfinite(slope) else 0.0 for slope in found]


class Waves(BaseModel):
    """Of a scaled number z one feature for each frequency f and its phase b: cos(2π f z + b)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["periodic"] = "periodic"
    frequencies: list[float]
    phases: list[float]

    @property
    def count(self) -> int:
        """How many features a number has."""
        return len(self.frequencies)


class NumericColumn(_Fitted):
    """z = (x' - center) * scale with x' = impute where x is missing; then 1 if missing else 0, where `indicator`.

    With `quantiles` (strictly ascending, q + 1 of them, at the ranks i / q) z = the piecewise-linear rank of x' in [0, 1]
    instead, before center and scale. With `clip` z / √(1 + (z / clip)²) stands for z: within ±clip, and z itself near 0.
    A constant or wholly missing column has scale 0: it contributes nothing. Booleans are read as 0 and 1.
    """

    kind: Literal["numeric", "boolean"]
    impute: float | None
    """None: the spec said `missing: "error"`, a missing value is refused."""
    indicator: bool = False
    center: float = 0.0
    scale: float = 1.0
    quantiles: list[float] | None = None
    clip: float | None = None
    features: Annotated[Bins | Waves, Field(discriminator="kind")] | None = None
    """More inputs of the network, behind those of all columns but the embedded ones."""
    minimum: float | None = None
    maximum: float | None = None
    """The range seen in training, for warnings; None where nothing was seen."""

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the greatest number that the network can be given; all finite ones where z has ends of its own."""
        bounded = self.quantiles is not None or self.clip is not None or not self.scale
        far = MOST if bounded else min(MOST, LARGEST_INPUT / abs(self.scale))
        return max(-MOST, self.center - far), min(MOST, self.center + far)

    @property
    def width(self) -> int:
        """How many inputs of the network the column becomes."""
        return 1 + self.indicator + (self.features.count if self.features else 0)


class CategoricalColumn(_Fitted):
    """One-hot: a column of 0 and 1 for each level, in order; missing becomes `impute`'s level, or all zeros where it is None.

    Where it is `signed` one column for its two levels, -1 for the first and 1 for the second.
    A level never seen is all zeros. With `indicator` one more input says that the value was missing. With `embedding` the level
    has a trained vector of that width instead, which is zeros wherever the one-hot columns would be.
    """

    kind: Literal["categorical"]
    levels: list[str]
    """The levels' texts: an integer column read as categorical has "12", a boolean one "false" and "true"."""
    impute: str | None = None
    refuse_missing: bool = False
    indicator: bool = False
    signed: bool = False
    embedding: int | None = None
    """The width of its embedding; None: one-hot."""

    @property
    def width(self) -> int:
        """How many inputs of the network the column becomes."""
        return (self.embedding or (1 if self.signed else len(self.levels))) + self.indicator


FittedColumn = Annotated[NumericColumn | CategoricalColumn, Field(discriminator="kind")]


def own_width(column: FittedColumn) -> int:
    """How many inputs of the network a column has in its own place: numeric features and embeddings stand behind all others."""
    if isinstance(column, CategoricalColumn):
        return column.width - (column.embedding or 0)
    return column.width - (column.features.count if column.features else 0)


class FittedTarget(BaseModel):
    """How the target was read: labels for classification, center and scale for regression (trained on (y - center) / scale).

    Predictions are clipped to `minimum` and `maximum`, the range of the training rows, where it is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: StorageType
    classes: list[bool | int | float | str] | None = None
    center: float = 0.0
    scale: float = 1.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def names(self) -> list[str]:
        """The one name, as of several columns."""
        return [self.name]

    @property
    def range(self) -> tuple[float, float] | None:
        """What a prediction is clipped to."""
        return None if self.minimum is None or self.maximum is None else (self.minimum, self.maximum)


class FittedTargets(BaseModel):
    """How several target columns were read: all labels, each with the classes of no and yes, or all numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Annotated[list[FittedTarget], Field(min_length=2)]

    @property
    def name(self) -> list[str]:
        """The columns' names, in the order of the network's outputs."""
        return [column.name for column in self.columns]

    @property
    def names(self) -> list[str]:
        """The same."""
        return self.name

    @property
    def classes(self) -> list[bool | int | float | str] | None:
        """What the probabilities are of: the columns' names; None for numbers."""
        return None if self.columns[0].classes is None else [column.name for column in self.columns]

    @property
    def center(self) -> list[float]:
        """Of each column."""
        return [column.center for column in self.columns]

    @property
    def scale(self) -> list[float]:
        """Of each column."""
        return [column.scale for column in self.columns]

    @property
    def range(self) -> tuple[list[float], list[float]] | None:
        """Of each column."""
        found = [column.range for column in self.columns]
        ranges = [one for one in found if one is not None]
        return ([low for low, _ in ranges], [high for _, high in ranges]) if len(ranges) == len(found) else None


AnyTarget = FittedTarget | FittedTargets
