"""What is remembered of long histories, so that a sample of a million epochs takes milliseconds: their blocks' extremes."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

import numpy as np
from sqlalchemy import Connection

from app.persistence import epochs, extremes
from app.persistence.database import Database
from app.persistence.epochs import Values
from app.persistence.extremes import Blocks
from app.services.remembered import Remembered
from app.services.sampling import GREATEST, KINDS, LEAST, NOTHING, Floats, Ints, epoch_leaves, row

BLOCK = 64
"""Stored epochs in a block: with fewer the first look takes longer, with more the search within those that were chosen."""
BLOCKS_AT_A_TIME = 512
THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Curves of one attempt at a job, `step` from one stored epoch to the next; with `every` those that this leaves."""

    number: int
    attempt: int
    names: Sequence[str]
    step: int
    every: int

    @property
    def width(self) -> int:
        """Of a block, in epochs."""
        return BLOCK * self.step

    def read(self, connection: Connection, spans: Iterable[tuple[int, int]]) -> Iterator[Values]:
        """Their values span by span, each beyond its first epoch up to its second."""
        return epochs.values(connection, self.number, self.names, spans=spans, every=self.every)

    def blocks(self, first: int, stop: int) -> Blocks:
        """Some blocks, as the tables take them."""
        return Blocks(number=self.number, first=first, stop=stop, width=self.width, every=self.every)


class Sketch:
    """The extremes of a history's complete blocks, and as far as somebody asked the epochs that have them.

    It only grows, for what an attempt has stored stays; where a damaged recovery point takes some of it back, the same bits
    come again, and whoever chooses epochs that are not there begins anew.
    """

    def __init__(self, database: Database, curves: Curves) -> None:
        self.curves = curves
        self._database = database
        self._lock = Lock()
        self._scores, self._at = _nothing(curves, 0)

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return self._scores.nbytes + self._at.nbytes

    def scores(self, first: int, stop: int) -> Floats:
        """Of those blocks, which are complete."""
        with self._lock:
            self._extend(stop)
            return self._scores[:, first:stop]

    def epochs(self, rows: Ints, blocks: Ints) -> Ints:
        """The first epochs in which those blocks are that extreme; 0 where they are gone."""
        with self._lock:
            unknown = np.unique(blocks[self._at[rows, blocks] == 0])
            for block, values in zip(unknown, self._read(unknown), strict=True):
                self._at[:, block] = whole(self.curves, values)[1]
            return self._at[rows, blocks]

    def _read(self, blocks: Ints) -> Iterator[Values]:
        width = self.curves.width
        with self._database.read() as connection:
            yield from self.curves.read(connection, [(block * width, (block + 1) * width) for block in blocks.tolist()])

    def _extend(self, stop: int) -> None:
        known = self._scores.shape[1]
        borders = [*range(known, stop, BLOCKS_AT_A_TIME), stop]
        asked = [self.curves.blocks(first, stop) for first, stop in pairwise(borders)]
        if len(asked) < THREADS:
            found = [self._look(blocks) for blocks in asked]
        else:
            with ThreadPoolExecutor(THREADS) as threads:
                found = list(threads.map(self._look, asked))
        self._scores = np.hstack([self._scores, *(scores for scores, _ in found)])
        self._at = np.hstack([self._at, *(at for _, at in found)])

    def _look(self, blocks: Blocks) -> tuple[Floats, Ints]:
        scores, at = _nothing(self.curves, blocks.stop - blocks.first)
        with self._database.read() as connection:
            found = extremes.of_blocks(connection, blocks, self.curves.names)
            odd = [] if all(block.finite for block in found) else extremes.odd_ones(connection, blocks, self.curves.names)
        places = [block.block - blocks.first for block in found]
        values = np.array([block.values for block in found], dtype=np.float64).T
        for kind, sign in ((LEAST, -1), (GREATEST, 1)):
            scores[kind::KINDS, places] = np.where(np.isnan(values[kind::2]), NOTHING, sign * values[kind::2])
        for one in reversed(odd):  # the first epoch is written last
            place = row(one.curve, one.code), one.block - blocks.first
            scores[place], at[place] = 0, one.epoch
        return scores, at


def whole(curves: Curves, values: Values) -> tuple[Floats, Ints]:
    """The extremes of some epochs together, and the first epochs that have them."""
    if not values.epoch:
        scores, at = _nothing(curves, 1)
        return scores[:, 0], at[:, 0]
    leaves = epoch_leaves(values, curves.names, step=curves.step)
    return leaves.scores.max(axis=1), leaves.epoch[leaves.scores.argmax(axis=1)]


def _nothing(curves: Curves, blocks: int) -> tuple[Floats, Ints]:
    shape = (KINDS * len(curves.names), blocks)
    return np.full(shape, NOTHING), np.zeros(shape, dtype=np.int64)


class Sketches:
    """One of each job's curves."""

    def __init__(self, database: Database, *, limit_bytes: int) -> None:
        self._database = database
        self._remembered = Remembered[tuple[int, int], Sketch](limit_bytes=limit_bytes, size=lambda sketch: sketch.bytes)

    def of(self, curves: Curves) -> Sketch:
        """The sketch of some curves; one of an earlier attempt says nothing any more."""
        sketch = self._remembered.get(_key(curves))
        if sketch is None or sketch.curves != curves:
            sketch = Sketch(self._database, curves)
        return self._remembered.put(_key(curves), sketch)

    def grown(self, sketch: Sketch) -> None:
        """Count it as it is now."""
        self._remembered.put(_key(sketch.curves), sketch)

    def forget(self, curves: Curves) -> None:
        """Drop a sketch that the table no longer agrees with."""
        self._remembered.forget(_key(curves))


def _key(curves: Curves) -> tuple[int, int]:
    return curves.number, curves.every
