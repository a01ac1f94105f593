"""A sample of a job's history: which of its epochs to show."""

from dataclasses import dataclass

import numpy as np

from app.persistence.database import Database
from app.persistence.epochs import Values
from app.services.sampling import EpochLeaves, Floats, Ints, choose, epoch_leaves
from app.services.sketches import BLOCK, Curves, Sketch, Sketches, whole

FINE = 32
"""Up to so many epochs for each point they are all read: blocks would be too coarse."""
MOST_READ = 65_536


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """All stored epochs of some curves beyond `after` up to `last`: `count` of them, from `first` on."""

    curves: Curves
    after: int
    first: int
    last: int
    count: int


@dataclass(frozen=True)
class _BlockLeaves:
    """Blocks as leaves, and what stands before the first and behind the last complete one."""

    sketch: Sketch
    first: int
    scores: Floats
    at: Ints
    """Epochs, as far as they are known without the sketch: those of the ends."""

    def epochs(self, rows: Ints, leaves: Ints) -> Ints:
        """From the ends, else from the sketch."""
        found = self.at[rows, leaves]
        unknown = found == 0
        found[unknown] = self.sketch.epochs(rows[unknown], leaves[unknown] + self.first)
        return found


class Samples:
    """Few rows are read; of many the blocks' extremes are known, or asked for once."""

    def __init__(self, database: Database, sketches: Sketches) -> None:
        self._database = database
        self._sketches = sketches

    def choose(self, stretch: Stretch, *, most: int) -> list[int]:
        """At most so many epochs of a stretch that has more; epochs that the table lost meanwhile may be among them."""
        few = stretch.count <= max(2 * BLOCK, min(FINE * most, MOST_READ))
        leaves = self._epochs(stretch) if few else self._blocks(stretch)
        return choose(leaves, (stretch.first, stretch.last), most=most)

    def forget(self, curves: Curves) -> None:
        """Begin anew: epochs that were chosen are not there."""
        self._sketches.forget(curves)

    def _epochs(self, stretch: Stretch) -> EpochLeaves:
        curves = stretch.curves
        return epoch_leaves(self._read(curves, stretch.after, stretch.last), curves.names, step=curves.step)

    def _blocks(self, stretch: Stretch) -> _BlockLeaves:
        curves, sketch = stretch.curves, self._sketches.of(stretch.curves)
        first, stop = -(-stretch.after // curves.width), stretch.last // curves.width
        inner = sketch.scores(first, stop)
        self._sketches.grown(sketch)
        head = self._end(curves, stretch.after, first * curves.width)
        tail = self._end(curves, stop * curves.width, stretch.last)
        scores = np.hstack([head[0], inner, tail[0]])
        at = np.hstack([head[1], np.zeros(inner.shape, dtype=np.int64), tail[1]])
        return _BlockLeaves(sketch, first - head[0].shape[1], scores, at)

    def _end(self, curves: Curves, after: int, until: int) -> tuple[Floats, Ints]:
        """One leaf, or none."""
        scores, at = whole(curves, self._read(curves, after, until))
        return scores[:, None][:, : after < until], at[:, None][:, : after < until]

    def _read(self, curves: Curves, after: int, until: int) -> Values:
        with self._database.read() as connection:
            [values] = curves.read(connection, [(after, until)])
        return values
