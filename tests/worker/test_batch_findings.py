"""What is kept of the warnings of very many cells."""

import json

import numpy as np
import pytest

from app.domain.batch_warnings import Kind
from app.domain.errors import InvalidData
from worker.batch.findings import RowFindings


def test_all_are_counted_and_the_first_rows_are_kept() -> None:
    findings = RowFindings(first=1000, room=3)
    for column, code in (("b", "unseen_category"), ("a", "missing_value")):
        for row in range(5):
            findings.warn(code, f"Row {row}, column {column!r}: something.", row=row, column=column)

    kept = [json.loads(line) for line in findings.kept()]

    assert findings.counts == {Kind("unseen_category", "b"): 5, Kind("missing_value", "a"): 5}
    assert [(one["row"], one["column"]) for one in kept] == [(1000, "b"), (1000, "a"), (1001, "b")]
    assert kept[0]["detail"] == "Row 1000, column 'b': something."


@pytest.mark.parametrize("room", [0, 3, 1000])
def test_of_a_block_of_cells_all_are_counted_and_only_those_told_that_may_be_kept(room: int) -> None:
    cells = np.ones((500, 2), dtype=np.bool_)
    cells[0, 0] = False
    findings = RowFindings(first=0, room=room)

    told = [*findings.to_warn_of(cells, "missing_value", ["a", "b"])]
    for row, index in told:
        findings.warn("missing_value", "", row=row, column="ab"[index])

    assert told == [*map(tuple, np.argwhere(cells).tolist())][:room]
    assert findings.counts == {Kind("missing_value", "a"): 499, Kind("missing_value", "b"): 500}


def test_without_room_nothing_is_kept() -> None:
    findings = RowFindings(first=0, room=0)
    findings.warn("missing_value", "Row 0, column 'a': something.", row=0, column="a")

    assert (findings.kept(), findings.counts.total()) == ([], 1)


def test_a_fault_ends_it() -> None:
    with pytest.raises(InvalidData, match="rows from 7 on"):
        RowFindings(first=7, room=1).fault("/columns/a/0", "not_finite", "Row 0, column 'a': infinite.")
