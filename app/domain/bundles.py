"""Bundles: rows that share a cell of the split's column, and the part each goes to, as a pure function of their counts."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from app.domain.errors import Invalid
from app.domain.sizes import Sizes, held_out
from app.domain.spec import Split

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_PLACE = "/split/column"


@dataclass(frozen=True)
class Bundles:
    """How many rows with a target each bundle has.

    `column`: in any order, with the cells in `words`; `time`: the earliest first; `group`: as drawn from the seed.
    Rows whose cell is missing are one group; elsewhere they are in no bundle.
    """

    counts: Sequence[int]
    missing: int = 0
    """Rows whose cell is missing."""
    words: Sequence[str] = ()
    _sizes: dict[Split, Sizes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def sizes(self, split: Split) -> Sizes:
        """How many rows the parts have; each split is dealt once, for the trials of a sweep share their bundles.

        Raises Invalid: as `deal`.
        """
        if split not in self._sizes:
            self._sizes[split] = rows_of_parts(deal(split, self), self.counts)
        return self._sizes[split]


def deal(split: Split, bundles: Bundles) -> list[int]:
    """The part of each bundle: TRAIN, VALIDATION or TEST; each part that was asked for gets one, and so does training.

    Raises Invalid: at /split/column, where the cells do not allow that; at a fraction as `held_out`.
    """
    if split.method == "group":
        return _fill(split, bundles.counts)
    if bundles.missing:
        raise Invalid.at(_PLACE, f"Column {split.column!r} is missing in {bundles.missing} row(s) that have a target.")
    return _cut(split, bundles.counts) if split.method == "time" else _read(split, bundles)


def rows_of_parts(parts: Sequence[int], counts: Sequence[int]) -> Sizes:
    """How many rows the parts have once the bundles were dealt."""
    sizes = [0, 0, 0]
    for part, count in zip(parts, counts, strict=True):
        sizes[part] += count
    return Sizes(*sizes)


def part_of_word(word: str) -> int | None:
    """The part that a cell names, in whatever case and whatever spaces around it; None where it names none."""
    word = word.strip().lower()
    return PARTS.index(word) if word in PARTS else None


def _read(split: Split, bundles: Bundles) -> list[int]:
    parts = [part_of_word(word) for word in bundles.words]
    strange = sum(count for part, count in zip(parts, bundles.counts, strict=True) if part is None)
    if strange:
        detail = f"Column {split.column!r} says something else than {', '.join(PARTS)} in {strange} row(s) that have a target."
        raise Invalid.at(_PLACE, detail)
    if TRAIN not in parts:
        raise Invalid.at(_PLACE, f"Column {split.column!r} says train in no row that has a target.")
    return [part for part in parts if part is not None]


def _cut(split: Split, counts: Sequence[int]) -> list[int]:
    """The earliest train, then come those that validate, the latest test: cut between two times, nearest to the fractions.

    Of two equally near cuts the earlier.
    """
    rows = sum(counts)
    validation, test = held_out(split, rows)
    later = _held_out_parts(validation, test)
    _check_enough(split, counts, later)
    ends, dealt, cut = list(accumulate(counts)), [TRAIN] * len(counts), 0
    for i, part in enumerate(later):
        rest = len(later) - i
        wanted = rows - (validation + test if i == 0 else test)
        cut = min(max(_nearest(ends, wanted), cut + 1), len(counts) - rest)
        dealt[cut:] = [part] * (len(counts) - cut)
    return dealt


def _nearest(ends: Sequence[int], wanted: int) -> int:
    """How many of the first bundles have as nearly as possible so many rows; `ends` are their sums, ascending."""
    i = bisect_left(ends, wanted)
    return i if i and wanted - ends[i - 1] <= ends[i] - wanted else i + 1


def _fill(split: Split, counts: Sequence[int]) -> list[int]:
    """Each held-out part takes the groups that still fit in it, in their order, then one more if that comes nearer.

    A part that none fits in takes the smallest.
    """
    validation, test = held_out(split, sum(counts))
    later = _held_out_parts(validation, test)
    _check_enough(split, counts, later)
    dealt, free = [TRAIN] * len(counts), len(counts)
    for i, part in enumerate(later):
        most = free - (len(later) - i)
        free -= _take(dealt, counts, part, rows=(validation, test)[part - VALIDATION], most=most)
    return dealt


def _take(dealt: list[int], counts: Sequence[int], part: int, *, rows: int, most: int) -> int:
    """Moves at most `most` bundles from training to a part, for about so many rows; answers how many."""
    left, taken = rows, 0
    for i, count in enumerate(counts):
        if not left or taken == most:
            break
        if dealt[i] == TRAIN and count <= left:
            dealt[i], left, taken = part, left - count, taken + 1
    smallest = min((i for i, of in enumerate(dealt) if of == TRAIN), key=counts.__getitem__)
    if not taken or (taken < most and counts[smallest] - left < left):
        dealt[smallest], taken = part, taken + 1
    return taken


def _held_out_parts(validation: int, test: int) -> list[int]:
    return [part for part, rows in ((VALIDATION, validation), (TEST, test)) if rows]


def _check_enough(split: Split, counts: Sequence[int], later: Sequence[int]) -> None:
    if len(counts) <= len(later):
        what = "time(s)" if split.method == "time" else "group(s)"
        raise Invalid.at(
            _PLACE, f"Column {split.column!r} has {len(counts)} different {what} for {len(later) + 1} parts; each needs one."
        )
