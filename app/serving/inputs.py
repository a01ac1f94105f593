"""From a prediction request to the inputs of `model.onnx`, by the fitted columns of the manifest."""

from collections.abc import Sequence

from app.domain.columns import CategoricalColumn, FittedColumn, NumericColumn
from app.serving.findings import Findings
from app.serving.layout import Layout
from app.serving.numbers import NumberReader
from app.serving.predict import Inputs
from app.serving.sent import Sent
from app.serving.texts import TextReader


class InputReader:
    """Reads requests for the features of one checkpoint, in the manifest's order."""

    def __init__(self, columns: Sequence[FittedColumn]) -> None:
        self._layout = Layout([column.name for column in columns])
        numeric = [(place, column) for place, column in enumerate(columns) if isinstance(column, NumericColumn)]
        self._numbers = NumberReader(numeric) if numeric else None
        self._texts = [
            TextReader(place, column) for place, column in enumerate(columns) if isinstance(column, CategoricalColumn)
        ]

    def read(self, sent: Sent, *, max_rows: int, findings: Findings) -> Inputs:
        """The inputs of `model.onnx`; warnings go to `findings`.

        Raises:
            Invalid: with every fault of the request, each at its row and column.
            TooLarge: more than `max_rows` rows.

        """
        cells = self._layout.cells(sent, max_rows=max_rows, findings=findings)
        features = self._numbers.read(cells, findings) if self._numbers else None
        texts = tuple([reader.read(cells, findings) for reader in self._texts])
        findings.raise_faults()
        return Inputs(cells.rows_sent, features, texts)
