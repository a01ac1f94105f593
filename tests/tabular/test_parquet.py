import io
import random
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from app.domain.schema import StorageType
from app.tabular.limits import Limits
from app.tabular.parquet import read_parquet
from app.tabular.refusal import Refused
from tests.tabular.conftest import Ingest

YEARS = "Row 1, column 'a': the moment is not within the years 1 to 9999."


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_flat_types_become_the_five_that_are_stored(read: Ingest) -> None:
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, None, 3], dtype=pl.UInt8),
            "huge": pl.Series([1, 2, 2**64 - 1], dtype=pl.UInt64),
            "single": pl.Series([0.5, float("nan"), None], dtype=pl.Float32),
            "decimal": pl.Series(["1.5", "2", "3"]).cast(pl.Decimal(10, 2)),
            "truth": [True, None, False],
            "words": ["1", "true", None],
            "category": pl.Series(["x", "y", None], dtype=pl.Categorical),
            "day": [date(2024, 1, 5), None, None],
            "moment": [datetime(2024, 1, 5, 1, tzinfo=UTC), None, None],
            "nothing": [None, None, None],
        }
    )

    found, rows = read(_parquet(frame), format="parquet")

    assert [column.type.value for column in found.columns] == (
        ["int64", "float64", "float64", "float64", "bool", "string", "string", "datetime", "datetime", "float64"]
    )
    assert [column.missing for column in found.columns] == [1, 0, 2, 0, 1, 1, 1, 2, 2, 3]
    assert rows["huge"].to_list() == [1.0, 2.0, 2.0**64]
    assert rows["words"].to_list() == ["1", "true", None]
    assert found.columns[9].type is StorageType.FLOAT64


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This is not a readable Parquet file."),
        (b"a,b\n1,2\n", "This is not a readable Parquet file."),
        (b"PAR1 and nonsense PAR1", "This is not a readable Parquet file."),
        (_parquet(pl.DataFrame({"a": [1]}))[:-20], "This is not a readable Parquet file."),
        (_parquet(pl.DataFrame({"a": [1]}).clear()), "The file has no rows."),
        (_parquet(pl.DataFrame()), "There are no columns."),
        (_parquet(pl.DataFrame({"a": [1], "b": [[1]]})), "Column 'b': the type List is not supported."),
        (_parquet(pl.DataFrame({"a": [b"x"]})), "Column 'a': the type Binary is not supported."),
        (_parquet(pl.DataFrame({"a": [1, 2], "b": [1, 2]})), "There are more than 3 cells (rows times columns)."),
        (_parquet(pl.DataFrame({"a": pl.Series([0, 2**60]).cast(pl.Datetime("us"))})), YEARS),
        (_parquet(pl.DataFrame({"a": pl.Series([0, -(2**60)]).cast(pl.Datetime("us"))})), YEARS),
        (_parquet(pl.DataFrame({"a": ["", "x\0"]})), "Row 1, column 'a': there is a NUL in the cell."),
        (_parquet(pl.DataFrame({"a\0": [1]})), "The name of column 1 has a NUL."),
        (_parquet(pl.DataFrame({"a": ["x" * 30]})), "Row 0, column 'a': the cell has more than 20 bytes."),
        (_parquet(pl.DataFrame({"a": ["x" * 20] * 3})), "The text of the file is more than 50 bytes."),
    ],
)
def test_a_fault_is_named(read: Ingest, content: bytes, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content, format="parquet", limits=Limits(cells=3, cell_bytes=20, inflated_bytes=50))

    assert str(refused.value) == sentence


def test_infinite_values_are_kept_and_counted(read: Ingest) -> None:
    found, rows = read(_parquet(pl.DataFrame({"a": [1.0, float("inf"), -float("inf")]})), format="parquet")

    assert found.columns[0].infinite == 2
    assert rows["a"].to_list() == [1.0, float("inf"), -float("inf")]
    assert (found.columns[0].minimum, found.columns[0].maximum) == (1.0, 1.0)


def test_ten_thousand_columns_are_read_in_their_order(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(10_000)]
    path = tmp_path / "wide.parquet"
    pl.DataFrame({name: [number] for number, name in enumerate(names)}).write_parquet(path)

    table = read_parquet(path, limits=Limits())

    assert list(table.columns) == names
    assert [series.item() for series in table.columns.values()] == list(range(10_000))


def test_a_doubled_name_is_told(read: Ingest) -> None:
    with pytest.raises(Refused, match=r"^A column name stands more than once\.$"):
        read(_parquet(pl.DataFrame({"ab": [1], "aa": [2]})).replace(b"ab", b"aa"), format="parquet")


def test_a_file_with_any_byte_of_its_metadata_damaged_is_read_or_refused(read: Ingest) -> None:
    good, chosen = _parquet(pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})), random.Random(7)
    for _ in range(150):
        bad = bytearray(good)
        bad[chosen.randrange(len(bad))] ^= 1 << chosen.randrange(8)
        with suppress(Refused):
            read(bytes(bad), format="parquet")
