"""Non-finite numbers as JSON can carry them: the strings `"NaN"`, `"Infinity"`, `"-Infinity"`; `None` stays `None`."""

import math
from collections.abc import Sequence
from typing import Literal

NotFinite = Literal["NaN", "Infinity", "-Infinity"]
JsonNumber = float | int | NotFinite | None


def to_json(value: float | None) -> JsonNumber:
    """One number for a JSON document."""
    if value is None or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def column_to_json(values: Sequence[float | None]) -> Sequence[JsonNumber]:
    """A column of numbers for a JSON document: the column itself where all are finite, which one sum tells."""
    try:
        if math.isfinite(sum(values)):  # type: ignore[arg-type]  # a missing value raises
            return values
    except TypeError:
        pass
    return [to_json(value) for value in values]
