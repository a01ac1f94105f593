import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schema import Kind
from app.tabular.json_lines import read_json_lines
from app.tabular.limits import Limits
from app.tabular.refusal import Refused
from tests.tabular.conftest import Ingest

RECORD = st.fixed_dictionaries({}, optional={"i": st.integers(-(2**53), 2**53), "b": st.booleans(), "s": st.text(max_size=5)})


def test_types_are_those_of_json(read: Ingest) -> None:
    lines = b'{"b": true, "i": 1, "f": 1, "s": "1", "d": "2024-01-05"}\n\n'
    lines += b'{"b": null, "f": 2.5, "s": "true", "d": null, "late": 3}\n'

    found, rows = read(lines, format="jsonl")

    assert rows.dtypes == [pl.Boolean, pl.Int64, pl.Float64, pl.String, pl.Datetime("us"), pl.Int64]
    assert rows["f"].to_list() == [1.0, 2.5]
    assert rows["late"].to_list() == [None, 3]
    assert [column.missing for column in found.columns] == [1, 1, 0, 0, 1, 1]


def test_strings_that_name_numbers_are_numbers_among_numbers_only(read: Ingest) -> None:
    found, rows = read(b'{"x": 1, "s": "NaN"}\n{"x": "NaN", "s": "NA"}\n{"x": "-Infinity", "s": "1"}', format="jsonl")

    assert rows["x"].to_list() == [1.0, None, -float("inf")]
    assert found.columns[0].infinite == 1
    assert rows["s"].to_list() == ["NaN", "NA", "1"]


def test_a_whole_number_beyond_64_bits_becomes_a_float(read: Ingest) -> None:
    _, rows = read(b'{"x": 9223372036854775808}\n{"x": 1}', format="jsonl")

    assert rows["x"].to_list() == [2.0**63, 1.0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "There are no columns."),
        (b"{}\n", "There are no columns."),
        (b'{"a": 1}\n{a}', "Line 2: this is not JSON."),
        (b'{"a": 1}\n\n[1]', "Line 3: this is not a JSON object."),
        (b'{"a": 1}\n{"a": "x"}', "Line 2, column 'a': a string stands where the cells above are numbers."),
        (b'{"a": null}\n{"a": true}\n{"a": 0}', "Line 3, column 'a': a number stands where the cells above are booleans."),
        (b'{"a": 1}\n{"a": {"b": 1}}', "Line 2, column 'a': an object cannot be a cell."),
        (b'{"a": [1]}', "Line 1, column 'a': an array cannot be a cell."),
        (b'{"": 1}', "Column 1 has no name."),
        (b'{"a": 1}\n\xff', "Line 2: byte 1 is not UTF-8, and this is not text in another encoding either."),
        (b'{"a": 1}\n{"a": 1, "b": 2, "a": 1}', "Line 2, column 'a': this key stands more than once."),
        (b'{"a": "x\\u0000y"}', "Line 1, column 'a': there is a NUL in the cell."),
        (b'{"a\\u0000": 1}', "The name of column 1 has a NUL."),
    ],
)
def test_a_fault_is_named_with_its_place(read: Ingest, content: bytes, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content, format="jsonl")

    assert str(refused.value) == sentence


def test_utf_16_and_colons_in_cells_are_read(read: Ingest) -> None:
    _, rows = read('{"a": "1:2:3", "n": 123456789012345678901234567890}\n'.encode("utf-16"), format="jsonl")

    assert rows.rows() == [("1:2:3", 1.2345678901234568e29)]


def test_too_many_cells_are_refused_while_reading(read: Ingest) -> None:
    with pytest.raises(Refused, match="more than 5 cells"):
        read(b'{"a": 1, "b": 2}\n' * 3, format="jsonl", limits=Limits(cells=5))


def test_json_numbers_can_be_called_categorical(read: Ingest) -> None:
    found, _ = read(b'{"a": 1}\n{"a": 2}', format="jsonl", kinds={"a": Kind.CATEGORICAL})

    assert (found.columns[0].kind, found.columns[0].levels) == (Kind.CATEGORICAL, [1, 2])


@given(rows=st.lists(RECORD, min_size=1))
def test_rows_come_back(rows: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    path.write_bytes(b"".join(orjson.dumps({"k": 0} | row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))

    table = read_json_lines(path, limits=Limits())

    for name, series in table.columns.items():
        assert series.to_list() == [({"k": 0} | row).get(name) for row in rows]
