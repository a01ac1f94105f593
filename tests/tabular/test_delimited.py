import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tabular.delimited import read_delimited
from app.tabular.inflating import decoded_lines, whole_lines
from app.tabular.inflating import zstd as compression
from app.tabular.limits import Limits
from app.tabular.plain_block import plain_block
from app.tabular.refusal import Refused
from tests.tabular.conftest import Ingest

SMALL = Limits(columns=3, cells=12, cell_bytes=20, inflated_bytes=500)
CURE = "save the file as UTF-8, for example with iconv -f WINDOWS-1252 -t UTF-8."
LATIN = f"; the text looks like Latin-1 or Windows-1252: {CURE}"
UNMARKED = "; this looks like UTF-16 without a byte order mark: save the file as UTF-8."
CELLS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20)
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n",'), max_size=6)


def zstd(text: bytes, *, window_log: int = 20) -> bytes:
    """A frame that does not say how much it holds, as a stream writes it."""
    compressor = compression.ZstdCompressor(options={compression.CompressionParameter.window_log: window_log})
    return compressor.compress(text) + compressor.flush()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"\n\n", "The file is empty."),
        (b"a,b\n", "The file has a header and no rows."),
        (b"a,a\n1,2\n", "Line 1, column 'a': this column name stands more than once."),
        (b"a, \n1,2\n", "Line 1: column 2 has no name."),
        (b"a,b\n1,2\n1,2,3\n", "Line 3: there are 3 cells where the header has 2."),
        (b"a,b\n1,2\n\n\n1\n", "Line 5: there are 1 cells where the header has 2."),
        (b'a,b\n"1\n1",2\n3\n', "Line 4: there are 1 cells where the header has 2."),
        (b'a,b\n1,2\n"3,4\n', "Line 3: the file ends inside a quoted cell."),
        (b'a,b\n"1"x,2\n', "Line 2: a closing quote is followed by more text."),
        (b"a,b\n1,2\n\xff,3\n", "Line 3: byte 1 is not UTF-8" + LATIN),
        (b"a,\xff\n1,2\n", "Line 1: byte 3 is not UTF-8" + LATIN),
        (b"a,b\n1,\0\n", "Line 2: byte 3 is NUL; the file is not text."),
        ("name,n\nJosé,1\n".encode("latin-1"), "Line 2: byte 4 is not UTF-8" + LATIN),
        ("a,b\n€,“x”\n".encode("cp1252"), "Line 2: byte 1 is not UTF-8" + LATIN),
        (b"\x89PNG\r\n\x1a\n", "Line 1: byte 1 is not UTF-8, and this is not text in another encoding either."),
        (b"a\n" + bytes(range(128, 160)), "Line 2: byte 1 is not UTF-8, and this is not text in another encoding either."),
        ("a,b\n1,2\n".encode("utf-16-le"), "Line 1: byte 2 is NUL" + UNMARKED),
        ("a,b\n1,2\n".encode("utf-16-be"), "Line 1: byte 1 is NUL" + UNMARKED),
        ("a,b\n1,2\n".encode("utf-32"), "This is UTF-32; save the file as UTF-8."),
        ("a,b\n1,2\n".encode("utf-16")[:-1], "Line 2: this is not UTF-16, as the file's first bytes say."),
        (b"\xff\xfea\0\n\0\0\xd8\n\0", "Line 2: this is not UTF-16, as the file's first bytes say."),
        ("a,b\n1,\0\n".encode("utf-16"), "Line 2: byte 3 is NUL; the file is not text."),
        (b"PAR1\0", "Line 1: byte 5 is NUL; this is a Parquet file, not text: send it with its own content type."),
        (b"a,b\r1,2\r", "Line 1: there is a carriage return inside a cell that is not quoted."),
        (b"a,b,c,d\n1,2,3,4\n", "Line 1: there are 4 columns; the limit is 3."),
        (b"a,b\n" + b"1,2\n" * 7, "There are more than 12 cells (rows times columns)."),
        (b'a,b\n"1",2\n' + b"1,2\n" * 7, "There are more than 12 cells (rows times columns)."),
        (b"a,b\n1," + b"x" * 21, "Line 2, column 'b': the cell has more than 20 bytes."),
        (b'a,b\n1,"' + b"x" * 21 + b'"', "Line 2: a cell has more than 20 characters."),
        (b"a,b\n1," + "ä".encode() * 11, "Line 2, column 'b': the cell has more than 20 bytes."),
        (b"\x28\xb5\x2f\xfd rest", "The compressed stream is damaged or ends early."),
        (zstd(b"a,b\n1,2\n")[:-3], "The compressed stream is damaged or ends early."),
        (zstd(b"a,b\n1,2\n" * 99, window_log=28), "The compressed stream is damaged or ends early."),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "The compressed stream is damaged or ends early."),
    ],
)
def test_a_fault_is_named_with_its_place(read: Ingest, content: bytes, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content, limits=SMALL)

    assert str(refused.value) == sentence


def test_a_column_name_has_its_own_limit(read: Ingest) -> None:
    with pytest.raises(Refused, match=r"^Line 1: the name of column 2 has more than 256 characters"):
        read(b"a," + b"b" * 257 + b"\n1,2\n")


def test_a_file_that_inflates_beyond_the_limit_is_refused(read: Ingest) -> None:
    with pytest.raises(Refused, match="inflates to more than 500 bytes"):
        read(gzip.compress(b"a,b\n1," + b"\n" * 600), limits=SMALL)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_a_file_that_inflates_two_hundredfold_is_refused(read: Ingest, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(b"a,b\n" + b"1,2\n" * 1_000_000)

    with pytest.raises(Refused, match="more than 200 times its size"):
        read(bomb)


def test_quotes_blank_lines_a_byte_order_mark_and_both_line_ends_are_read(read: Ingest) -> None:
    content = b'\xef\xbb\xbfname, note\r\n"a, b","say ""hi"""\r\n\r\n"two\nlines",x\n'

    _, rows = read(content)

    assert rows.rows() == [("a, b", 'say "hi"'), ("two\nlines", "x")]
    assert rows.columns == ["name", "note"]


@pytest.mark.parametrize("more", ["", '"5"\n'], ids=["plain", "quoted"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_in_a_single_column_a_blank_line_is_a_missing_cell(read: Ingest, end: str, more: str) -> None:
    _, rows = read(f"a\n1\n\n3\n\n{more}".replace("\n", end).encode())

    assert rows["a"].to_list() == [1, None, 3, None, *([5] if more else [])]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd])
def test_utf_16_is_read_by_its_byte_order_mark(
    read: Ingest, encoding: str, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tabular.encodings.MIB", 3)
    mark = "" if encoding == "utf-16" else "\ufeff"

    _, rows = read(compress(f'{mark}näme,n\r\n"Jos\né",1\r\n😀,2\r\n'.encode(encoding)))

    assert rows.to_dict(as_series=False) == {"näme": ["Jos\né", "😀"], "n": [1, 2]}


def test_tabs_separate_in_tsv_and_commas_do_not(read: Ingest) -> None:
    _, rows = read(b"a\tb\nx,y\t1\n", format="tsv")

    assert rows.rows() == [("x,y", 1)]


@pytest.mark.parametrize("compress", [gzip.compress, zstd, lambda text: zstd(text[:5]) + zstd(text[5:])])
def test_a_compressed_file_is_known_by_its_first_bytes(read: Ingest, compress: Callable[[bytes], bytes]) -> None:
    _, rows = read(compress(b"a,b\n1,2\n"))

    assert rows.rows() == [(1, 2)]


@given(rows=ROWS)
def test_what_the_csv_module_writes_comes_back(rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])
    path = _stored(tmp_path_factory, text.getvalue())

    table = read_delimited(path, delimiter=",", limits=Limits())

    assert list(zip(*(series.to_list() for series in table.columns.values()), strict=True)) == rows


@given(rows=st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=20), end=st.sampled_from(["\n", "\r\n"]))
def test_the_quick_and_the_careful_way_read_the_same(
    rows: list[tuple[str, ...]], end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = "".join(",".join(row) + end for row in rows)
    plain = _stored(tmp_path_factory, f"a,b,c{end}{lines}")
    quoted = _stored(tmp_path_factory, f"a,b,c{end}{lines}" + '"","",""' + end)

    quick = read_delimited(plain, delimiter=",", limits=Limits())
    careful = read_delimited(quoted, delimiter=",", limits=Limits())

    assert plain_block(lines.encode(), width=3, delimiter=",") is not None
    assert quick.lines is not None
    assert quick.lines.tolist() == list(range(2, len(rows) + 2))
    for name, series in quick.columns.items():
        assert series.to_list() == careful.columns[name].to_list()[:-1]


def test_a_fault_behind_a_quick_block_is_named_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tabular.delimited.BLOCK", 10)
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1,2\n" * 10 + '"3",4\n5\n')

    with pytest.raises(Refused, match=r"^Line 13: there are 1 cells"):
        read_delimited(path, delimiter=",", limits=Limits())


def test_a_block_ends_with_a_line_and_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tabular.inflating.LONGEST_LINE", 10)

    assert whole_lines(io.BytesIO(b"1234\n5678\n9"), 6) == b"1234\n5678\n"
    with pytest.raises(Refused, match="A line has more than 10 bytes"):
        whole_lines(io.BytesIO(b"x" * 30), 6)
    with pytest.raises(Refused, match=r"^Line 1: the line has more than 10 bytes"):
        list(decoded_lines(io.BytesIO(b"x" * 30)))


def _stored(factory: pytest.TempPathFactory, text: str) -> Path:
    path = factory.mktemp("csv") / "x.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_semicolon_or_tab_separates_where_the_header_has_no_comma(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f'a{mark}b\n1{mark}"x, y"\n')

    table = read_delimited(path, delimiter=None, limits=Limits())

    assert {name: column.to_list() for name, column in table.columns.items()} == {"a": ["1"], "b": ["x, y"]}


@pytest.mark.parametrize(
    ("header", "mark", "names"),
    [
        ('\ufeff"Umsatz, netto";Monat', ";", ["Umsatz, netto", "Monat"]),
        ('Monat;"Umsatz, ""netto"""', ";", ["Monat", 'Umsatz, "netto"']),
        ('"Umsatz,\nnetto"\tMonat', "\t", ["Umsatz,\nnetto", "Monat"]),
        ('5" breit,6" lang;', ",", ['5" breit', '6" lang;']),
        ('"a;b","c"', ",", ["a;b", "c"]),
    ],
)
def test_what_stands_in_a_quoted_name_separates_nothing(tmp_path: Path, header: str, mark: str, names: list[str]) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"{header}\n1{mark}2\n")

    assert list(read_delimited(path, delimiter=None, limits=Limits()).columns) == names
