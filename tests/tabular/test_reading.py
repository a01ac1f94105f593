from pathlib import Path

import polars as pl
import pytest

from app.domain.errors import Invalid, InvalidData, TooLarge
from app.domain.schema import Kind
from app.tabular.limits import MIB, Limits
from app.tabular.reading import describe_rows, describe_upload
from app.tabular.samples import SAMPLES, sample_path
from tests.servers.disk import no_file_beyond
from tests.tabular.conftest import Ingest


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "stored.parquet"


def _upload(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(content)
    return path


def test_a_child_process_reads_stores_and_describes(tmp_path: Path, stored: Path) -> None:
    found = describe_upload(_upload(tmp_path, b"a,b\n1,x\n2,y\n"), format="csv", destination=stored)

    assert (found.rows, [column.name for column in found.columns]) == (2, ["a", "b"])
    assert pl.read_parquet(stored).rows() == [(1, "x"), (2, "y")]


def test_bad_bytes_are_invalid_data_and_leave_nothing(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(InvalidData, match=r"^Line 3: there are 3 cells where the header has 2"):
        describe_upload(_upload(tmp_path, b"a,b\n1,2\n1,2,3\n"), format="csv", destination=stored)

    assert not stored.exists()


def test_a_kind_that_cannot_be_is_invalid_at_the_schema(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(Invalid) as invalid:
        describe_upload(_upload(tmp_path, b"a\n1.5\n"), format="csv", destination=stored, kinds={"b/c": Kind.NUMERIC})

    assert invalid.value.faults[0].pointer == "/schema/b~1c"


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(cells=3), "There are more than 3 cells"),
        (Limits(seconds=0.01), "Reading the file takes more than 0.01 seconds"),
        (Limits(memory_bytes=180 * MIB, seconds=30), "Reading the file takes more than 188743680 bytes of memory"),
    ],
)
def test_a_passed_limit_is_too_large(tmp_path: Path, stored: Path, limits: Limits, sentence: str) -> None:
    content = b"a,b\n" + b"1,abcdefghijklmnopq\n" * 1_000_000

    with pytest.raises(TooLarge, match=sentence):
        describe_upload(_upload(tmp_path, content), format="csv", destination=stored, limits=limits)

    assert not stored.exists()


def test_a_small_parquet_file_that_unpacks_to_gigabytes_harms_nobody(tmp_path: Path, stored: Path) -> None:
    bomb = tmp_path / "bomb.parquet"
    cell = pl.Series(["x" * 60_000], dtype=pl.Categorical)
    pl.DataFrame({"a": cell.gather([0] * 300_000)}).write_parquet(bomb)

    with pytest.raises(TooLarge, match="more than 1073741824 bytes of memory"):
        describe_upload(bomb, format="parquet", destination=stored, limits=Limits(memory_bytes=1024 * MIB, seconds=30))


def test_a_full_disk_is_told_and_leaves_nothing(stored: Path) -> None:
    with no_file_beyond(100), pytest.raises(OSError, match="No space left"):
        describe_upload(sample_path("iris"), format="csv", destination=stored)

    assert not stored.exists()


def test_rows_and_columns_of_a_body_are_stored_alike(stored: Path) -> None:
    by_rows = describe_rows(destination=stored, rows=[{"a": 1, "b": True}, {"a": 2.5, "b": None}])
    stored_rows = pl.read_parquet(stored)
    by_columns = describe_rows(destination=stored, columns={"a": [1, 2.5], "b": [True, None]})

    assert by_rows == by_columns
    assert stored_rows.equals(pl.read_parquet(stored))
    assert list(stored.parent.iterdir()) == [stored]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"rows": [{"a": 1}, {"a": "x"}]}, "/rows/1/a"),
        ({"rows": [{"a": 1}, {"a": {"b": 1}}]}, "/rows/1/a"),
        ({"rows": [{"a": 1}, {"a": 2**70}]}, "/rows/1"),
        ({"columns": {"b": [1, 1], "a": [1, 2**70]}}, "/columns/a/1"),
        ({"rows": []}, "/rows"),
        ({"columns": {"a/b": [1, "x"]}}, "/columns/a~1b/1"),
        ({"columns": {"a": [1], "b": [1, 2]}}, "/columns/b"),
        ({"columns": {}}, "/columns"),
    ],
)
def test_a_fault_in_a_body_has_a_pointer(stored: Path, body: dict[str, object], pointer: str) -> None:
    with pytest.raises(Invalid) as invalid:
        describe_rows(destination=stored, **body)  # type: ignore[arg-type]

    assert [fault.pointer for fault in invalid.value.faults] == [pointer]


@pytest.mark.parametrize(
    ("name", "rows", "columns", "target", "distinct"),
    [
        ("iris", 150, 5, "species", 3),
        ("wine", 178, 14, "cultivar", 3),
        ("breast_cancer", 569, 31, "diagnosis", 2),
        ("digits", 1797, 65, "digit", 10),
        ("diabetes", 442, 11, "progression", 214),
    ],
)
def test_each_sample_can_be_read(read: Ingest, name: str, rows: int, columns: int, target: str, distinct: int) -> None:
    found, _ = read(sample_path(name).read_bytes())

    assert (found.rows, len(found.columns), found.columns[-1].name, found.columns[-1].distinct) == (
        rows,
        columns,
        target,
        distinct,
    )
    assert not any(column.missing for column in found.columns)
    assert name in SAMPLES


def test_an_unknown_sample_has_no_path() -> None:
    with pytest.raises(KeyError):
        sample_path("../iris")
