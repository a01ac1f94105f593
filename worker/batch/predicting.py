"""The rows of a stored dataset, read and predicted as those of a request are, a few at a time."""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl

from app.domain.batch_prediction import step_rows
from app.domain.columns import FittedColumn, NumericColumn
from app.domain.errors import pointer
from app.serving.predict import CHUNK, Inputs, Outputs
from app.serving.sent import SentArrays, Values
from app.serving.sessions import Ready
from app.tabular.categories import as_text
from app.tabular.preprocessing import as_numbers
from worker.batch.findings import RowFindings


class RowPredictor:
    """Predicts with a checkpoint; `alive` is called before each few rows, and may end it by raising."""

    def __init__(self, ready: Ready, *, alive: Callable[[], None]) -> None:
        self._ready, self._alive = ready, alive
        self._columns = ready.manifest.columns
        self.target = ready.manifest.target
        self.names = [column.name for column in self._columns]
        self._step = step_rows(columns=len(self._columns), layers=ready.manifest.spec.layers, most=CHUNK)

    def predict(self, rows: pl.DataFrame, *, first: int, room: int) -> tuple[Outputs, list[RowFindings]]:
        """Rows of which the first has the number `first` in the dataset, and what there is to say of them."""
        found: list[RowFindings] = []
        outputs: list[Outputs] = []
        for few in rows.iter_slices(self._step):
            self._alive()
            findings = RowFindings(first=first, room=room)
            outputs.append(self._ready.predictor.predict(self._inputs(few, findings)))
            found.append(findings)
            first, room = first + len(few), max(0, room - len(findings.kept()))
        return _joined(outputs), found

    def _inputs(self, rows: pl.DataFrame, findings: RowFindings) -> Inputs:
        columns = {column.name: _values(column, rows[column.name]) for column in self._columns}
        sent = SentArrays(len(rows), columns, partial(pointer, "columns"), "/columns")
        return self._ready.reader.read(sent, max_rows=len(rows), findings=findings)


def _values(column: FittedColumn, cells: pl.Series) -> Values:
    """In the types of a request: NaN is a missing number, None a missing category."""
    return as_numbers(cells) if isinstance(column, NumericColumn) else as_text(cells, column.type).to_list()


def _joined(outputs: list[Outputs]) -> Outputs:
    labels = np.concatenate([few.labels for few in outputs if few.labels is not None])
    probabilities = [few.probabilities for few in outputs if few.probabilities is not None]
    return Outputs(labels, np.concatenate(probabilities) if probabilities else None)
