"""Cells of any type as the categories of a column: alike in a stored column and in a prediction."""

import polars as pl
import pytest

from app.domain.columns import CategoricalColumn
from app.domain.schema import StorageType
from app.serving.cells import ColumnCells
from app.serving.findings import Findings
from app.serving.texts import TextReader
from app.tabular.categories import as_text
from app.tabular.given import given_values
from app.tabular.table import Table
from tests.tabular.conftest import Ingest

LEVELS = {
    StorageType.BOOL: ["false", "true"],
    StorageType.INT64: ["0", "1", "7"],
    StorageType.FLOAT64: ["0", "1", "7"],
    StorageType.STRING: ["0", "1", "7", "false", "true", "x"],
}
CELLS = [["1", "0", ""], ["true", "false", "x"], ["TRUE", "7", "x"], ["true", "false", ""], [" 01", "7", "x"]]
WITH_FRACTIONS = ["1.0", "0.0", ""]


@pytest.mark.parametrize(
    ("type", "cells"),
    [(type, cells) for type in LEVELS for cells in CELLS]
    + [(type, WITH_FRACTIONS) for type in LEVELS if type is not StorageType.STRING],
    ids=str,
)
def test_a_stored_column_has_the_categories_that_a_prediction_reads_of_the_same_file(
    read: Ingest, type: StorageType, cells: list[str]
) -> None:
    column = CategoricalColumn(name="b", type=type, kind="categorical", levels=LEVELS[type])
    _, stored = read("\n".join(["b,row", *(f"{cell}," for cell in cells)]).encode())

    found = as_text(stored["b"], type).fill_null("").to_list()

    values = given_values(Table(len(cells), {"b": pl.Series(cells)}, strings="cells"), [column])
    asked = TextReader(0, column).read(ColumnCells(len(cells), [values["b"]], lambda row, feature: ""), Findings())
    assert [text in LEVELS[type] and text for text in found] == [text in LEVELS[type] and text for text in asked[:, 0].tolist()]
