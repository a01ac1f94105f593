"""How many rows train, validate and test: a pure function of counts, so that a job's sizes don't depend on its seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import Invalid
from app.domain.spec import Split


@dataclass(frozen=True)
class Sizes:
    """Numbers of rows of the three parts."""

    train: int
    validation: int
    test: int

    def as_rows(self) -> dict[str, int]:
        """Under the names that a resolved spec has for them."""
        return {"train_rows": self.train, "validation_rows": self.validation, "test_rows": self.test}


def sizes_of(split: Split, counts: Sequence[int]) -> list[Sizes]:
    """The parts of each stratum of `counts` rows; a split that is not stratified is one stratum.

    Fractions are of all rows, rounded half up, at least one row each where the fraction is not 0. Strata share them in
    proportion and each keeps a row to train on, so where nearly every class has a single row fewer are held out.

    Raises Invalid: at /split/test or /split/validation, where no row would be left for a part that was asked for.

    """
    validation, test = held_out(split, sum(counts))
    free = list(counts) if len(counts) == 1 else [count - 1 for count in counts]
    validated = _shares(validation, counts, free)
    tested = _shares(test, counts, [room - taken for room, taken in zip(free, validated, strict=True)])
    if (validation and not sum(validated)) or (test and not sum(tested)):
        raise Invalid.at(_blame(split), "Each class must keep a row to train on, which leaves none to hold out.")
    return [Sizes(n - v - t, v, t) for n, v, t in zip(counts, validated, tested, strict=True)]


def sum_of(sizes: Sequence[Sizes]) -> Sizes:
    """All strata together."""
    parts = [(size.train, size.validation, size.test) for size in sizes]
    train, validation, test = (sum(part) for part in zip(*parts, strict=True))
    return Sizes(train, validation, test)


def held_out(split: Split, rows: int) -> tuple[int, int]:
    """How many of the rows with a target the fractions ask for: to validate, and to test.

    Raises Invalid: no row is left to train on.
    """
    validation, test = _rounded(rows, split.validation), _rounded(rows, split.test)
    if validation + test >= rows:
        raise Invalid.at(_blame(split), f"{rows} row(s) with a target leave none to train on.")
    return validation, test


def _rounded(rows: int, fraction: float) -> int:
    return max(1, math.floor(rows * fraction + 0.5)) if fraction else 0


def _blame(split: Split) -> str:
    return "/split/validation" if split.validation else "/split/test"


def _shares(total: int, counts: Sequence[int], free: Sequence[int]) -> list[int]:
    """`total` rows by the largest remainders, none above what is free; ties go to the larger class, then the earlier."""
    exact = [total * count / sum(counts) for count in counts]
    shares = [min(room, math.floor(share)) for room, share in zip(free, exact, strict=True)]
    while (left := total - sum(shares)) > 0:
        open_ = [i for i, room in enumerate(free) if shares[i] < room]
        if not open_:
            break
        open_.sort(key=lambda i: (shares[i] - exact[i], -counts[i], i))
        for i in open_[:left]:
            shares[i] += 1
    return shares
