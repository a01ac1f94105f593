"""Bombs and garbage in every place that takes a body: refused with a sentence, forgotten, and the process stays small."""

import gzip
import io
import json
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import polars as pl
import pytest

from app.domain.faults import MOST_FAULTS
from app.tabular.inflating import zstd
from tests.security.api_process import MIB, ApiProcess, api_process
from tests.security.routes import WITH_BODY, Operation
from tests.servers.processes import wait_until

CSV, LINES, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
ARROW, STREAM = "application/vnd.apache.arrow.file", "application/vnd.apache.arrow.stream"
NPZ = "application/x-npz"
FORM, JSON = "multipart/form-data; boundary=x", "application/json"
# Of two mebibytes of JSON: an empty list is three bytes there and seventy in memory.
MOST_GROWTH = 120 * MIB


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def arrow(frame: pl.DataFrame, *, stream: bool = False) -> bytes:
    buffer = io.BytesIO()
    (frame.write_ipc_stream if stream else frame.write_ipc)(buffer, compression="zstd")
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def an_array(header: bytes) -> bytes:
    """An archive with an array of which there is a header only."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117) + b"\n")
    return buffer.getvalue()


def many(text: bytes, times: int) -> bytes:
    return b",".join([text] * times)


def fields(times: int) -> bytes:
    return b",".join(b'"a%d":1' % number for number in range(times))


PART = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a.csv"\r\n\r\n'
UPLOADS = {
    "a gzip bomb": (CSV, gzip.compress(b"a\n" + b"1\n" * (16 * MIB), 9, mtime=0)),
    "gzip in gzip": (CSV, gzip.compress(gzip.compress(b"a\n1\n" * MIB, mtime=0), mtime=0)),
    "a damaged gzip": (CSV, gzip.compress(bytes(range(256)) * 64, mtime=0)[:200]),
    "a zstd bomb": (CSV, zstd.compress(b"a\n" + b"1\n" * (16 * MIB))),
    "a zstd window without end": (CSV, b"\x28\xb5\x2f\xfd\x00\xff" + bytes(64)),
    "a damaged zstd": (CSV, b"\x28\xb5\x2f\xfd" + bytes(64)),
    "no end of columns": (CSV, b"a," * MIB),
    "a cell without end": (CSV, b"a\n" + b"x" * (3 * MIB)),
    "no UTF-8": (CSV, b"a\n\xff\xfe\n"),
    "Latin-1": (CSV, "name\nJosé\n".encode("latin-1")),
    "UTF-16 without a mark": (CSV, "a\n1\n".encode("utf-16-le")),
    "half a UTF-16": (CSV, "a\n1\n".encode("utf-16")[:-1]),
    "UTF-32": (CSV, "a\n1\n".encode("utf-32")),
    "UTF-16 that is a bomb": (CSV, gzip.compress(("a\n" + "1\n" * (8 * MIB)).encode("utf-16"), mtime=0)),
    "bytes of all kinds": (CSV, bytes(range(256)) * 400),
    "NUL in a cell": (LINES, b'{"a":"\\u0000"}\n'),
    "rows of no length": (CSV, b"a,b\n" + b"1,2,\n" * 9),
    "names that are doubled": (CSV, b",".join([b"a"] * 10_000) + b"\n1\n"),
    "names that are none": (CSV, b"," * 9_999 + b"\n1\n"),
    "more columns than may be": (CSV, b",".join(b"c%d" % number for number in range(10_001)) + b"\n1\n"),
    "deep lines": (LINES, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a number without end": (LINES, b'{"a":' + b"9" * 100_000 + b"}\n"),
    "no Parquet": (PARQUET, b"PAR1" + bytes(range(256)) * 16 + b"PAR1"),
    "half a Parquet": (PARQUET, parquet(pl.DataFrame({"a": [1] * 1000}))[:-20]),
    "a Parquet bomb": (PARQUET, parquet(pl.DataFrame({"a": ["x" * 5000]}).select(pl.col("a").repeat_by(20_000).explode()))),
    "a Parquet of too many cells": (PARQUET, parquet(pl.DataFrame({"a": [0] * 200_001}))),
    "no Arrow": (ARROW, b"ARROW1\0\0" + bytes(range(256)) * 16 + b"ARROW1"),
    "half an Arrow": (ARROW, arrow(pl.DataFrame({"a": [1] * 1000}))[:-20]),
    "an Arrow bomb": (ARROW, arrow(pl.DataFrame({"a": ["x" * 60_000] * 1000}))),
    "a stream that is a bomb": (STREAM, arrow(pl.DataFrame({"a": ["x" * 60_000] * 1000}), stream=True)),
    "a stream of too many cells": (STREAM, arrow(pl.DataFrame({"a": [0] * 200_001}), stream=True)),
    "an Arrow that lies": (ARROW, arrow(pl.DataFrame({"a": [9] * 77})).replace(pack("<q", 77), pack("<q", 2**62))),
    "a message without end": (STREAM, b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(64)),
    "no archive": (NPZ, b"PK\x03\x04" + bytes(range(256)) * 16),
    "half an archive": (NPZ, npz(X=np.arange(1000.0))[:-20]),
    "a pickle": (NPZ, npz(X=np.array([{"a": 1}] * 3, dtype=object))),
    "an archive that is a bomb": (NPZ, npz(X=np.zeros((1000, 9000)))),
    "an array of too many cells": (NPZ, npz(X=np.arange(200_001))),
    "an array that lies": (NPZ, an_array(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1), }")),
    "an array of no rows without end": (
        NPZ,
        an_array(b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1099511627776), }"),
    ),
    "an archive of something else": (NPZ, an_array(b"")[:-200] + b"PK\x05\x06" + bytes(18)),
    "too large": (CSV, b"1\n" * (3 * MIB)),
    "another type": ("application/pdf", b"%PDF"),
    "parts without end": (FORM, b"--x\r\n\r\n\r\n" * 200_000 + b"--x--"),
    "a header without end": (FORM, b"--x\r\nA: " + b"b" * (3 * MIB) + b"\r\n\r\n--x--"),
    "a field without end": (FORM, PART % b"name" + b"b" * (3 * MIB) + b"\r\n--x--"),
    "half a form": (FORM, PART % b"file" + b"a\n1\n"),
    "no boundary": ("multipart/form-data", b"a"),
    "wrong rows": (JSON, b'{"rows":[' + many(b"1", 900_000) + b"]}"),
    "wrong columns": (JSON, b'{"columns":{' + fields(150_000) + b"}}"),
    "bad texts": (JSON, b'{"rows":[' + many(b'"\\ud800"', 200_000) + b"]}"),
    "empty lists": (JSON, b'{"rows":[{"a":[' + many(b"[]", 600_000) + b"]}]}"),
}
BODIES = {
    "no JSON": b"{",
    "nothing": b"",
    "deep": b"[" * 100_000,
    "deep in a field": b'{"metadata":' + b"[" * 900 + b"]" * 900 + b',"x":"\\u0000"}',
    "a number without end": b'{"seed":' + b"9" * 5000 + b"}",
    "a number beyond all": b'{"seed":1e999,"rows":1e999}',
    "NaN": b'{"epochs":NaN,"seed":-Infinity,"rows":NaN}',
    "no UTF-8": b'{"name":"\xff"}',
    "half a character": b'{"\\ud800":"\\udfff"}',
    "unknown fields": b"{" + fields(150_000) + b"}",
    "wrong values": b'{"features":[' + many(b"1", 900_000) + b'],"rows":[' + many(b"1", 9) + b"]}",
    "many wrong values": b'{"features":[' + many(b"1", 90_000) + b"]}",
    "a list": b"[1]",
    "a text": b'"x"',
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, valkey_server: str) -> Iterator[ApiProcess]:
    with api_process(tmp_path_factory.mktemp("bodies"), broker=valkey_server) as started:
        yield started


def refused(api: ApiProcess, path: str, body: bytes, type: str) -> None:
    before = api.kept()
    api.forget_peak()
    resident = api.memory("VmRSS")

    answer = api.client.post(path, content=body, headers={"Content-Type": type, "Idempotency-Key": "same"})

    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json().get("errors", [])) <= MOST_FAULTS
    assert len(answer.content) < 64_000
    assert api.memory() - resident < MOST_GROWTH
    assert api.kept() == before
    for listed in ("/v1/datasets", "/v1/jobs", "/v1/sweeps"):
        assert api.client.get(listed).json()["data"] == []


@pytest.mark.parametrize("what", UPLOADS)
def test_an_upload_that_is_a_bomb_or_garbage_leaves_nothing(api: ApiProcess, what: str) -> None:
    type, body = UPLOADS[what]

    refused(api, "/v1/datasets", body, type)


@pytest.mark.parametrize("operation", [*WITH_BODY, Operation("POST", "/v1/datasets", True)], ids=str)
def test_a_body_that_is_a_bomb_or_garbage_leaves_nothing(api: ApiProcess, operation: Operation) -> None:
    for body in BODIES.values():
        refused(api, operation.at("job_x"), body, JSON)
    for type in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json-seq", ""):
        refused(api, operation.at("job_x"), b"{}", type)


@pytest.mark.parametrize(
    "change",
    [
        {"search": {"seed": {"range": [0, 2**31]}, "epochs": {"range": [1, 2**31 - 1]}}, "method": "grid"},
        {"search": {"seed": {"range": [0, 2**31]}}, "trials": 2**31 - 1},
        {"search": {"seed": {"choice": [2**70]}}},
        {"search": {"seed": {"choice": [1]}}, "stop": {"a": 2**70}},
        {"search": {"x" * 10_000: {"choice": [1]}}},
        {"search": {".".join("a" * 5000): {"choice": [1]}}},
    ],
    ids=["grid", "trials", "choice", "stop", "path", "deep path"],
)
def test_a_sweep_without_end_is_refused(api: ApiProcess, change: dict[str, object]) -> None:
    refused(api, "/v1/sweeps", json.dumps({"spec": {"dataset": "ds_x", "target": "y"}, **change}).encode(), JSON)


def test_a_body_that_breaks_off_leaves_nothing(api: ApiProcess) -> None:
    before = api.kept()
    for path, type in (("/v1/datasets", CSV), ("/v1/datasets", FORM), ("/v1/jobs", JSON)):
        with socket.create_connection(("127.0.0.1", api.port), timeout=10) as broken:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {type}\r\nContent-Length: 100000\r\n\r\na,b\n1,2\n"
            )
            broken.sendall(head.encode())

    assert api.client.get("/v1/datasets").json()["data"] == []
    wait_until(lambda: api.kept() == before, what="the received pieces to be gone")


def test_the_log_tells_what_crashed_and_it_was_nothing(api: ApiProcess) -> None:
    log = Path(api.folder / "api.log").read_text()

    assert "request.crashed" not in log
    assert "Traceback" not in log


def test_what_a_caller_sends_writes_nothing_of_its_own_into_the_log(api: ApiProcess) -> None:
    assert api.client.get("/v1/%1b[2J%0a2026-01-01%20forged%e2%80%ae%c2%9b").status_code == 404
    log = Path(api.folder / "api.log")

    # A request is logged after it was answered.
    wait_until(lambda: "\\x1b[2J" in log.read_text(), what="the request in the log")
    assert [line for line in log.read_text().splitlines() if not line.isprintable() or line.startswith("2026-01-01")] == []
