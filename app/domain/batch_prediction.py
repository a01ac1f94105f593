"""A batch prediction: what is asked for, and how its rows are cut into parts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from app.domain.spec.blocks import Block, Count

Format = Literal["parquet", "csv"]
Id = Annotated[str, Field(max_length=64)]

# Numbers of a part, read or predicted: 8 MB of them.
_CELLS, _FEWEST = 1 << 20, 1 << 10
# Multiplications of a part: some seconds of one core, which is what a crash loses.
_OF_PART = 1 << 35
# And of the rows that are run together: between them a caller's cancel is seen.
_OF_STEP = 1 << 32
# Cells of the inputs of those: texts are objects, of 100 bytes each.
_STEP_CELLS = 1 << 17


class BatchSpec(Block):
    """What `POST /v1/batch_predictions` takes: a dataset, and either a job or a model to predict it with."""

    name: Annotated[str, Field(max_length=200)] | None = None
    dataset: Id
    job: Id | None = None
    checkpoint: Annotated[
        Id | None, Field(description="Of the job: `best` (where it is left out), `last`, or the id of a checkpoint.")
    ] = None
    model: Annotated[str | None, Field(max_length=64)] = None
    version: Annotated[
        Count | Annotated[str, Field(min_length=1, max_length=64)] | None,
        Field(description="Of the model: a number, or an alias; where it is left out the alias `default`."),
    ] = None
    format: Format = "parquet"


def part_rows(*, columns: int, layers: Sequence[int], most: int) -> int:
    """Rows of a part: few enough to be held in memory with what is predicted of them, and to be computed in seconds."""
    by_memory = max(_FEWEST, _CELLS // max(columns, layers[-1], 1))
    return min(most, by_memory, max(1, _OF_PART // _multiplications(layers)))


def step_rows(*, columns: int, layers: Sequence[int], most: int) -> int:
    """Rows that are run together; fixed by the checkpoint, for the last digit of a number depends on how many they are."""
    return max(1, min(most, _STEP_CELLS // max(columns, 1), _OF_STEP // _multiplications(layers)))


def _multiplications(layers: Sequence[int]) -> int:
    """Of a row, about."""
    return max(1, sum(wide * high for wide, high in pairwise(layers)))
