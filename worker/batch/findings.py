"""What the reader of predictions finds in the rows of a dataset: faults end it, warnings are counted and the first are kept."""

from collections import Counter
from collections.abc import Mapping

import orjson

from app.domain.batch_warnings import Kind
from app.domain.errors import InvalidData
from app.serving.findings import Findings, PredictionWarning


class RowFindings(Findings):
    """Of some rows, of which the first has the number `first`; keeps up to `room` warnings."""

    def __init__(self, *, first: int, room: int) -> None:
        super().__init__()
        self._first, self._room = first, room
        self._kept: list[PredictionWarning] = []
        self.counts: Counter[Kind] = Counter()

    def fault(self, pointer: str, code: str, detail: str) -> None:
        """Nothing that a dataset's description shows beforehand gets here."""
        raise InvalidData(f"The rows from {self._first} on cannot be predicted: {detail}")

    def warn(self, code: str, detail: str, *, row: int | None = None, column: str | None = None) -> None:
        """Count one, and keep it under its row's number in the dataset."""
        self.counts[Kind(code, column)] += 1
        if not self._room:
            return
        if row is not None:
            number = row + self._first
            detail, row = detail.replace(f"Row {row},", f"Row {number},", 1), number
        self._kept.append(PredictionWarning(code, detail, row, column))

    def room_for_warnings(self) -> int:
        """Of any cells the first, by row, may be among those that are kept."""
        return self._room

    def count(self, more: Mapping[tuple[str, str], int]) -> None:
        """Those that cannot be kept."""
        for (code, column), number in more.items():
            self.counts[Kind(code, column)] += number

    def kept(self) -> list[bytes]:
        """A line for each that there is room for, in the order of the rows."""
        in_order = sorted(self._kept, key=lambda warning: (warning.row is not None, warning.row))
        return [orjson.dumps(warning, option=orjson.OPT_APPEND_NEWLINE) for warning in in_order[: self._room]]
