"""A dataset as CSV, which an upload reads again."""

from pathlib import Path

import polars as pl
import pytest

from app.services.contents import to_csv
from tests.tabular.conftest import Ingest


@pytest.mark.parametrize("frame", [pl.DataFrame({"a": [1, None, 3, None]}), pl.DataFrame({"a": [None, 2], "b": ["x", None]})])
def test_every_row_that_is_written_is_read_again(read: Ingest, tmp_path: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(tmp_path / "one.parquet")
    text = b"".join(to_csv(tmp_path / "one.parquet"))

    _, rows = read(text)

    assert rows.equals(frame)
    assert b"\n\n" not in text
