"""What a dataset's columns are: kind, storage type, levels."""

from pydantic import BaseModel, ConfigDict

from app.domain.kinds import Kind as Kind
from app.domain.kinds import StorageType as StorageType
from app.domain.kinds import Task as Task

# A level of a column as it stood in the data: classes and predicted labels keep their own type.
Level = bool | int | float | str

# Levels are listed up to this many; a column with more has only its `distinct` count.
MAX_LEVELS = 1000


class Column(BaseModel):
    """One column as found by a full pass over the data."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    type: StorageType
    missing: int
    """Cells without a value; NaN in a float column counts as missing."""
    distinct: int
    """Different values, missing left out."""
    integral: bool = False
    """True for a numeric column whose every value is a whole number (a float column may be)."""
    levels: list[Level] | None = None
    """The different values in sorted order; None where there are more than MAX_LEVELS, or numbers with a fraction."""
    counts: list[int] | None = None
    """How often each level occurs, beside `levels`."""
    infinite: int = 0
    """Cells that are plus or minus infinity; such a column is kept and refused as a feature."""
    minimum: float | None = None
    maximum: float | None = None
    """The range of the finite values of a numeric or boolean column; None elsewhere and where there is none."""


def level_text(level: Level) -> str:
    """A level as text: `true`, `12` (also for 12.0), or the text itself; categories and class weights are named by it."""
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, float) and level.is_integer():
        return str(int(level))
    return str(level)
