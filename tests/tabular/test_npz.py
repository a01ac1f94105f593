import io
import zipfile
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from app.tabular.limits import Limits
from app.tabular.refusal import Refused
from tests.tabular.conftest import Ingest

TEXT = "Column 'target': a text is not Unicode, or not UTF-8."
UNREADABLE = "This is not a readable .npz archive."
X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3)
PICKLED = "The array 'y' holds Python objects, a pickle; save it as numbers or as texts."
SHORT = "The array 'X' has not as many bytes as its header says."
MANY = "There are more than 50000000 cells (rows times columns)."


def npz(*, compressed: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def archive(content: bytes, *, name: str = "X.npy", method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        opened.writestr(name, content)
    return buffer.getvalue()


def claiming(shape: str, dtype: str = "<f8", cells: bytes = b"") -> bytes:
    """An array with a header of our own."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    return headed(header, cells)


def headed(header: str, cells: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return archive(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + cells)


def doubled() -> bytes:
    buffer = io.BytesIO(npz(X=X))
    with zipfile.ZipFile(buffer, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("X.npy", b"")
    return buffer.getvalue()


def encrypted() -> bytes:
    """The flag stands in the directory, at the ninth byte of an entry."""
    data = bytearray(npz(X=X))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("features", [X, np.asfortranarray(X), X.astype(">f4"), X.astype(np.float16), X.astype(np.longdouble)])
def test_features_and_target_become_columns(read: Ingest, features: np.ndarray[Any, Any], compressed: bool) -> None:
    _, rows = read(npz(X=features, y=Y, compressed=compressed), format="npz")

    assert rows.columns == ["x0", "x1", "target"]
    assert rows.rows() == [(0.0, 1.0, 0), (2.0, 3.0, 1), (4.0, 5.0, 0), (6.0, 7.0, 1), (8.0, 9.0, 0), (10.0, 11.0, 1)]


@pytest.mark.parametrize(
    ("target", "stored"),
    [
        (np.array(["ä", "b"]), ["ä", "b"]),
        (np.array(["ä".encode(), b"b"]), ["ä", "b"]),
        (np.array([True, False]), [True, False]),
        (np.array([2**64 - 1, 0], np.uint64), [2.0**64, 0.0]),
        (np.array([np.nan, np.inf]), [None, float("inf")]),
        (np.array(["2024-01-05", "NaT"], "M8[D]"), [datetime(2024, 1, 5), None]),
        (np.array([[1], [2]]), [1, 2]),
    ],
)
def test_targets_keep_what_they_are(read: Ingest, target: np.ndarray[Any, Any], stored: list[object]) -> None:
    _, rows = read(npz(X=X[:2], y=target), format="npz")

    assert rows["target"].to_list() == stored


def test_a_target_may_be_left_out_or_have_several_columns(read: Ingest) -> None:
    assert read(npz(X=X[:, 0]), format="npz")[1].columns == ["x0"]
    assert read(npz(X=X, y=X), format="npz")[1].columns == ["x0", "x1", "target0", "target1"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", UNREADABLE),
        (b"PK\x03\x04 and nonsense", UNREADABLE),
        (npz(X=X)[:-30], UNREADABLE),
        (archive(b"\x80\x04."), UNREADABLE),
        (archive(b"\x93NUMPY\x03\x00"), UNREADABLE),
        (headed("__import__('os').abort()"), UNREADABLE),
        (claiming("(-1, 2)"), UNREADABLE),
        (headed("(("), UNREADABLE),
        (headed("{[]: 1}"), UNREADABLE),
        (headed("1" + "+1" * 4000), UNREADABLE),
        (headed("-" * 9000 + "1"), UNREADABLE),
        (claiming("(True,)", cells=b"x" * 8), UNREADABLE),
        (npz(X=X[:1], y=np.array(["\ud800"])), TEXT),
        (npz(X=X[:1], y=np.array([b"\xff"])), TEXT),
        (npz(X=X[:1], y=np.frombuffer(b"\xff\xff\xff\x7f", "<U1")), TEXT),
        (npz(X=np.array([[2**62, 2]], "M8[Y]")), "Column 'x0': the moment is not within the years 1 to 9999."),
        (npz(X=np.array([[2, -(2**62)]], "M8[W]")), "Column 'x1': the moment is not within the years 1 to 9999."),
        (npz(X=X, y=np.array(["a"] * 6, object)), PICKLED),
        (npz(X=X * 1j), "The array 'X' has the type complex128, which is not supported."),
        (npz(X=np.zeros(3, [("a", "i4")])), "The array 'X' has the type void32, which is not supported."),
        (npz(X=X.reshape(3, 2, 2)), "The array 'X' has 3 dimensions; it may have one or two."),
        (npz(X=np.float64(1)), "The array 'X' has 0 dimensions; it may have one or two."),
        (npz(X=X[:0]), "The file has no rows."),
        (npz(X=X[:, :0]), "There are no columns."),
        (npz(y=Y), "There is no array 'X'; its columns are the features, and 'y' is the target."),
        (npz(X=X, z=Y), "There is 'z' in the archive; it may hold 'X' and 'y', each once."),
        (npz(X=X, y=Y[:3]), "'X' has 6 rows and 'y' has 3."),
        (archive(b"import os", name="../X.py"), "There is '../X.py' in the archive; it may hold 'X' and 'y', each once."),
        (archive(b"", method=zipfile.ZIP_LZMA), "The array 'X' is encrypted or compressed in an unusual way."),
        (claiming("(9, 2)", cells=b"x" * 143), SHORT),
        (claiming("(10**0, 2)"), UNREADABLE),
        (claiming("(1000000000000, 2)"), MANY),
        (claiming("(0, 1000000000000)"), "The array 'X' has 1000000000000 columns; the limit is 10000."),
        (claiming("(9, 2)", "<U999999999"), UNREADABLE),
        (npz(X=np.zeros((20, 9_999)), compressed=True), "The arrays inflate to more than 200 times their size."),
        (npz(X=np.zeros(400_000, np.int8)), "The arrays inflate to more than 300000 bytes."),
        (npz(X=np.array(["x" * 21])), "Row 0, column 'x0': the cell has more than 20 bytes."),
    ],
)
def test_a_fault_is_named(read: Ingest, content: bytes, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content, format="npz", limits=Limits(cell_bytes=20, inflated_bytes=300_000 if "300000" in sentence else 10**9))

    assert str(refused.value) == sentence


def test_an_array_that_stands_twice_or_is_encrypted_is_refused(read: Ingest) -> None:
    for content, sentence in ((doubled(), "each once"), (encrypted(), "encrypted")):
        with pytest.raises(Refused, match=sentence):
            read(content, format="npz")


def test_an_array_that_unpacks_to_more_than_the_directory_says_is_not_unpacked(read: Ingest) -> None:
    data = bytearray(npz(X=np.zeros((100, 20)), compressed=True))
    size = data.rindex(b"PK\x01\x02") + 24
    data[size : size + 4] = (200).to_bytes(4, "little")

    with pytest.raises(Refused, match="not a readable"):
        read(bytes(data), format="npz")
