"""The small blocks of a spec: data, stopping, checkpoints."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from app.domain.schema import Kind


def _whole(value: object) -> object:
    """JSON has one kind of number: 5.0 is the integer 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _storable(value: JsonValue) -> JsonValue:
    """No integer that a database has no room for; numbers that are not finite are refused by the block."""
    if isinstance(value, dict):
        for item in value.values():
            _storable(item)
    elif isinstance(value, list):
        for item in value:
            _storable(item)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError("It holds an integer of more than 64 bits")
    return value


LARGEST = 2**63 - 1
# A value that a spec may or may not have; which is found out once it stands there.
Storable = Annotated[JsonValue, AfterValidator(_storable)]
WHOLE = BeforeValidator(_whole)
# The bound of whole numbers that need none of their own: JSON libraries and databases have room for it.
MOST = 2**31 - 1
Count = Annotated[int, Field(ge=1, le=MOST), WHOLE]
CountOrZero = Annotated[int, Field(ge=0, le=MOST), WHOLE]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Block(BaseModel):
    """A part of a spec: unknown fields, non-finite numbers and values of another JSON type are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, strict=True)


class Preprocessing(Block):
    """How columns become inputs; statistics come from training rows only.

    With `categorical: "embedding"` each categorical column of four levels or more has a table of trained vectors;
    with `"one_hot_signed"` one of two levels is a single input of -1 and 1.
    `missing: "indicator"` fills in the mean, `"median_indicator"` the median, and both have an input that says so.
    """

    numeric: Literal["standard", "minmax", "robust", "robust_clip", "quantile", "none"] = "standard"
    categorical: Literal["one_hot", "one_hot_signed", "embedding"] = "one_hot"
    missing: Literal["mean", "median", "most_frequent", "indicator", "median_indicator", "error"] = "mean"
    target: Literal["auto", "standard", "none"] = "auto"

    @property
    def has_indicators(self) -> bool:
        """True where columns with missing values have an input that says which are."""
        return self.missing in ("indicator", "median_indicator")

    def is_signed(self, levels: int) -> bool:
        """True where a categorical column of so many levels is one input of -1 and 1."""
        return self.categorical == "one_hot_signed" and levels == 2


class Embedding(Block):
    """A categorical column's table [levels + 1, width] of trained vectors; row 0, of missing and unseen values, stays zero."""

    column: str
    levels: int
    width: int

    @property
    def size(self) -> int:
        """How many numbers the table holds."""
        return (self.levels + 1) * self.width


class Split(Block):
    """Which rows train, validate and test; fractions are of the rows whose target is known.

    `random` draws rows; `time` takes the latest by `column`; `group` draws groups of rows with the same cell of `column`;
    `column` does what its cells say, without fractions. A part with a dataset of its own has no fraction either.
    A fraction that nothing reads is 0 in a resolved spec.
    """

    validation: Fraction = 0.2
    test: Fraction = 0.0
    method: Literal["random", "column", "time", "group"] = "random"
    stratify: Literal["auto"] | bool = "auto"
    column: str | None = None


class Ensemble(Block):
    """Several networks of one shape that answer together: the mean of what they predict.

    With `folds` each leaves out its own part of the training rows, and all rows are validated on, each by the network that has
    not seen it. `auto` is true where the spec names no validation rows.
    """

    members: Annotated[int, Field(ge=2, le=64), WHOLE] = 8
    folds: Literal["auto"] | bool = "auto"


class EarlyStopping(Block):
    """Stop when `metric` has not got better by more than `min_delta` for `patience` epochs.

    `patience: "cycle"` goes with the schedule `log_cosine`: stop where one of its cycles, but the first, ends without that.
    The best epoch is the one with the best mean of `metric` over `mean_epochs` epochs: itself and those before it.
    """

    metric: str = "val_loss"
    patience: Count | Literal["cycle"] = 10
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    mean_epochs: Annotated[int, Field(ge=1, le=100), WHOLE] = 1


class Window(Block):
    """Training rows that are shuffled together where they are streamed: `blocks` runs of `block_rows` rows from anywhere."""

    block_rows: Count
    blocks: Count


class Checkpoints(Block):
    """Periodic checkpoints: one each `every` epochs, the newest `keep` of them; best and last always exist."""

    every: Count | None = None
    keep: Annotated[int, Field(ge=1, le=100), WHOLE] = 3


ColumnKinds = dict[str, Literal[Kind.NUMERIC, Kind.CATEGORICAL, Kind.BOOLEAN]]
