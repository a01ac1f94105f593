"""A checkpoint over the rows of a dataset: what it answers beside what is true, and what somebody should know of that."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from app.domain.columns import AnyTarget
from app.domain.errors import Invalid
from app.domain.manifest import Manifest
from app.domain.numbers import JsonNumber, to_json
from app.evaluation.evaluation import Evaluation
from app.evaluation.probabilities import Array
from app.services.row_inputs import RowInputs
from app.serving.logits import Logits
from app.serving.predict import CHUNK
from app.tabular.loading import columns_read
from app.tabular.target import class_weights, encode_target, row_weights, target_columns

# Cells of the inputs of one run: texts are objects, of 100 bytes each.
_CELLS = 1 << 17
MOST_COLUMNS = 100
"""Columns that are warned of by name."""


@dataclass(frozen=True)
class EvaluationWarning:
    """Something a caller should know of `count` rows or cells."""

    code: str
    detail: str
    count: int | None = None
    column: str | None = None


class Scoring:
    """Takes the rows of a dataset of at most `rows`; `alive` is called now and then, and may end it by raising.

    What all rows are needed for goes to files in `folder`.
    """

    def __init__(self, manifest: Manifest, logits: Logits, *, rows: int, alive: Callable[[], None], folder: Path) -> None:
        self._spec, self._target, self._logits, self._alive = manifest.spec, manifest.target, logits, alive
        self._inputs = RowInputs(manifest.columns)
        self._by_class = _class_weights(manifest)
        scale, limits = np.atleast_1d(self._target.scale), _limits(self._target)
        self._evaluation = Evaluation(self._spec, scale=scale, limits=limits, rows=rows, folder=folder)
        self._step = max(1, min(CHUNK, _CELLS // len(manifest.columns)))
        self._left_out = 0
        self.columns = columns_read(self._spec)

    @property
    def rows(self) -> int:
        """How many counted: those with a target."""
        return self._evaluation.rows

    def add(self, rows: pl.DataFrame) -> None:
        """More rows."""
        known = rows.drop_nulls(target_columns(self._spec))
        self._left_out += len(rows) - len(known)
        for few in known.iter_slices(self._step):
            self._alive()
            self._add(few)

    def _add(self, rows: pl.DataFrame) -> None:
        y = encode_target(self._target, rows)
        weight = rows[self._spec.sample_weight] if self._spec.sample_weight else None
        self._evaluation.add(self._logits.of(self._inputs.read(rows)), y, row_weights(self._by_class, y, weight))

    def check(self) -> None:
        """Raises Invalid: there is nothing of which a mean could be taken."""
        if not self.rows:
            raise Invalid.at("/dataset", "No row of it has a value in every target column.")
        if not self._evaluation.weight:
            raise Invalid.at("/dataset", f"By the column {self._spec.sample_weight!r} every row has the weight 0.")

    @property
    def _weights_are_unknown(self) -> bool:
        return self._by_class is None and self._spec.class_weights is not None

    def loss(self) -> JsonNumber:
        """Of all rows; None where it cannot be known here."""
        return None if self._weights_are_unknown else to_json(self._evaluation.loss)

    def metrics(self) -> Mapping[str, JsonNumber]:
        """Of all rows."""
        return {name: to_json(value) for name, value in self._evaluation.metrics(alive=self._alive).items()}

    def warnings(self) -> Iterator[EvaluationWarning]:
        """What was left out, what was filled in, and what cannot be told."""
        if self._left_out:
            yield EvaluationWarning("missing_target", "These rows have no target and are left out.", self._left_out)
        yield from _of_cells("missing_value", self._inputs.missing, "are missing; they were imputed as in training.")
        yield from _of_cells("unseen_category", self._inputs.unseen, "were not seen in training.")
        if self._evaluation.loss is None:
            yield EvaluationWarning("custom_loss", f"The loss {self._spec.loss.name} can be computed by workers alone.")
        if self._weights_are_unknown:
            detail = "The checkpoint is older than the record of its class weights: no loss, and classes weigh alike."
            yield EvaluationWarning("class_weights_unknown", detail)


def _limits(target: AnyTarget) -> tuple[Array, Array] | None:
    """What predictions are clipped to, in trained units."""
    if target.range is None:
        return None
    low, high = ((np.atleast_1d(end) - target.center) / target.scale for end in target.range)
    return low, high


def _class_weights(manifest: Manifest) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """As trained with; what a caller gave stands in the spec, too."""
    if manifest.class_weights is not None:
        return np.array(manifest.class_weights)
    nobody = np.zeros(0)
    return None if isinstance(manifest.spec.class_weights, str) else class_weights(manifest.spec, nobody)


def _of_cells(code: str, counts: Counter[str], what: str) -> Iterator[EvaluationWarning]:
    columns = [name for name, count in counts.items() if count]
    for name in columns[:MOST_COLUMNS]:
        yield EvaluationWarning(code, f"Values of column {name!r} {what}", counts[name], name)
    rest = sum(counts[name] for name in columns[MOST_COLUMNS:])
    if rest:
        yield EvaluationWarning(code, f"Values of {len(columns) - MOST_COLUMNS} more columns {what}", rest)
