"""What a reader found in a prediction request: faults that refuse it and warnings that go with the answer, both bounded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import Fault, Invalid
from app.domain.fault_codes import FaultCode

MOST = 100
"""Faults or warnings that are listed; of the others only the number is told."""


@dataclass(frozen=True)
class PredictionWarning:
    """Something a caller should know; `row` counts from 0, `column` is a name, either may be None."""

    code: str
    detail: str
    row: int | None = None
    column: str | None = None


@dataclass
class Findings:
    """Collects until the whole request was read."""

    _faults: list[Fault] = field(default_factory=list)
    _warnings: list[PredictionWarning] = field(default_factory=list)
    _more_faults: int = 0
    _more_warnings: int = 0

    def fault(self, pointer: str, code: FaultCode, detail: str) -> None:
        """Notes one thing that refuses the request."""
        if len(self._faults) < MOST:
            self._faults.append(Fault(pointer, code, detail))
        else:
            self._more_faults += 1

    def warn(self, code: str, detail: str, *, row: int | None = None, column: str | None = None) -> None:
        """Notes one thing to tell with the answer."""
        if len(self._warnings) < MOST:
            self._warnings.append(PredictionWarning(code, detail, row, column))
        else:
            self._more_warnings += 1

    def to_fault(self, cells: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """The (row, column) of the cells of which there is still something to tell; the others are counted."""
        places = np.argwhere(cells)
        room = MOST - len(self._faults)
        self._more_faults += max(0, len(places) - room)
        yield from map(tuple, places[:room].tolist())

    def to_warn_of(self, cells: NDArray[np.bool_], code: str, columns: Sequence[str]) -> Iterator[tuple[int, int]]:
        """As `to_fault`, for warnings of such a code, of cells in these columns."""
        places, room = np.argwhere(cells), self.room_for_warnings()
        if len(places) > room:
            numbers = np.bincount(places[room:, 1]).tolist()
            self.count({(code, columns[index]): number for index, number in enumerate(numbers) if number})
        yield from map(tuple, places[:room].tolist())

    def room_for_warnings(self) -> int:
        """How many more of some cells are told, at most."""
        return MOST - len(self._warnings)

    def count(self, more: Mapping[tuple[str, str], int]) -> None:
        """Warnings that are not told, by their code and column."""
        self._more_warnings += sum(more.values())

    def raise_faults(self) -> None:
        """Raises Invalid with all faults, if there are any."""
        more = [Fault("", "more_faults", f"There are {self._more_faults} more faults.")] if self._more_faults else []
        if self._faults:
            raise Invalid(self._faults + more)

    def warnings(self) -> list[PredictionWarning]:
        """All warnings, in the order they were noted."""
        if not self._more_warnings:
            return self._warnings
        return [*self._warnings, PredictionWarning("more_warnings", f"There are {self._more_warnings} more warnings.")]
