"""What a prediction request holds, as its format lays it out: rows, columns, arrays or one block.

Named tuples, here and behind: with every request a dozen of them is made, a frozen dataclass in twice the time.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PREDICTIONS, PROBABILITIES = "predictions", "probabilities"
Wanted = frozenset[str]
"""Which of the two an answer is to have."""
BOTH: Wanted = frozenset({PREDICTIONS, PROBABILITIES})

Values = list[object] | NDArray[np.generic]
"""The cells of one column; of texts and mixed ones as objects."""


class SentRows(NamedTuple):
    """Each an object by column, or a list in the order of the features; `booleans`: true or false may be among the cells."""

    rows: list[object]
    booleans: bool = True


class SentColumns(NamedTuple):
    """Lists by column."""

    columns: Mapping[str, list[object]]
    booleans: bool = True


class SentArrays(NamedTuple):
    """Columns of one length, with the JSON Pointer of a cell; a column that is not there is missed at `whole`."""

    rows: int
    columns: Mapping[str, Values]
    pointer: Callable[[str, int], str]
    whole: str


class SentBlock(NamedTuple):
    """All features as one array, [rows, F], with the JSON Pointer of (row, feature)."""

    values: NDArray[np.generic]
    pointer: Callable[[int, int], str]
    whole: str


Sent = SentRows | SentColumns | SentArrays | SentBlock


class Asked(NamedTuple):
    """A request without its format; `place` is where it says what is wanted."""

    sent: Sent
    wanted: Wanted = BOTH
    place: str = "/outputs"


def count_rows(sent: Sent) -> int:
    """How many rows were sent."""
    if isinstance(sent, SentRows):
        return len(sent.rows)
    if isinstance(sent, SentColumns):
        return max(map(len, sent.columns.values()), default=0)
    return sent.rows if isinstance(sent, SentArrays) else len(sent.values)
