"""Datasets: every way in, every way out, and nothing kept of what was refused."""

import gzip
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from app.services.contents import to_csv
from app.tabular.inflating import zstd
from tests.api.service import CSV, Service, Trained, assert_problem, pointers, running, settings_for


def names(dataset: dict[str, object]) -> list[str]:
    columns = dataset["columns"]
    assert isinstance(columns, list)
    return [column["name"] for column in columns]


def test_a_csv_is_stored_and_described(service: Service) -> None:
    dataset = service.upload(name="sizes")

    assert (dataset["object"], dataset["name"], dataset["rows"]) == ("dataset", "sizes", 40)
    assert (dataset["bytes"], dataset["sha256"]) == (len(CSV), hashlib.sha256(CSV).hexdigest())
    assert [(c["name"], c["kind"]) for c in dataset["columns"]] == [
        ("size", "numeric"),
        ("city", "categorical"),
        ("label", "categorical"),
    ]
    assert service.get(f"/v1/datasets/{dataset['id']}") == dataset


def test_parquet_comes_back_as_it_was(shared: Service) -> None:
    frame = pl.DataFrame({"a": [1, None, 3], "b": [0.5, 1.5, None], "c": ["x", None, "y"]})
    buffer = io.BytesIO()
    frame.write_parquet(buffer)

    dataset = shared.upload(buffer.getvalue(), type="application/vnd.apache.parquet")

    answer = shared.client.get(f"/v1/datasets/{dataset['id']}/content")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert pl.read_parquet(io.BytesIO(answer.content)).equals(frame)


def arrow(frame: pl.DataFrame, *, stream: bool) -> bytes:
    buffer = io.BytesIO()
    (frame.write_ipc_stream if stream else frame.write_ipc)(buffer)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


SMALL = pl.DataFrame({"a": [1], "b": [2]})


@pytest.mark.parametrize(
    ("type", "content"),
    [
        ("application/vnd.apache.arrow.file", arrow(SMALL, stream=False)),
        ("application/vnd.apache.arrow.stream", arrow(SMALL, stream=True)),
        ("text/tab-separated-values", b"a\tb\n1\t2\n"),
        ("application/x-ndjson", b'{"a": 1, "b": 2}\n'),
        ("application/jsonl", b'{"a": 1, "b": 2}\n'),
        ("text/csv; charset=utf-8", b"a,b\n1,2\n"),
        ("text/csv", gzip.compress(b"a,b\n1,2\n", mtime=0)),
        ("application/jsonl", zstd.compress(b'{"a": 1, "b": 2}\n')),
    ],
)
def test_other_formats_are_read_by_their_content_type(shared: Service, type: str, content: bytes) -> None:
    dataset = shared.upload(content, type=type)

    assert shared.get(f"/v1/datasets/{dataset['id']}/rows")["data"] == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("type", ["application/x-npz", "application/zip"])
def test_an_npz_brings_features_and_a_target(shared: Service, type: str) -> None:
    dataset = shared.upload(npz(X=np.array([[0.5, 1], [2, 3]]), y=np.array(["no", "yes"])), type=type)

    assert [(c["name"], c["kind"]) for c in dataset["columns"]] == (
        [("x0", "numeric"), ("x1", "numeric"), ("target", "categorical")]
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv.zst", zstd.compress(b"a,b\n1,2\n")),
        ("x.arrow", arrow(SMALL, stream=False)),
        ("x.arrows", arrow(SMALL, stream=True)),
        ("x.feather", arrow(SMALL, stream=False)),
        ("X.NPZ", npz(X=np.array([[1, 2]]))),
    ],
)
def test_a_form_s_file_is_read_by_its_name(shared: Service, name: str, content: bytes) -> None:
    answer = shared.client.post("/v1/datasets", files={"file": (name, content, "application/octet-stream")})

    assert answer.status_code == 201, answer.text
    assert (answer.json()["rows"], len(answer.json()["columns"])) == (1, 2)


def test_a_form_brings_file_name_and_schema_in_any_order(shared: Service) -> None:
    files = {"file": ("x.tsv", b"zip\tn\n01\t?\n02\t5\n", "application/octet-stream")}

    answer = shared.client.post(
        "/v1/datasets", files=files, data={"name": "form", "schema": '{"zip": "categorical", "missing": ["?"]}'}
    )

    assert answer.status_code == 201, answer.text
    dataset = answer.json()
    assert dataset["name"] == "form"
    assert [(c["name"], c["kind"], c["missing"]) for c in dataset["columns"]] == [
        ("zip", "categorical", 0),
        ("n", "numeric", 1),
    ]


def test_faults_of_a_form_are_told_by_part(shared: Service) -> None:
    answer = shared.client.post("/v1/datasets", files={"data": ("x.csv", b"a\n1\n")})

    assert pointers(answer) == ["/data", "/file"]


def test_a_form_that_is_none_is_unparsable(shared: Service) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert_problem(shared.client.post("/v1/datasets", content=b"no form", headers=headers), 400, "unparsable")


@pytest.mark.parametrize(
    "body", [{"rows": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]}, {"columns": {"a": [1, None], "b": ["x", "y"]}}]
)
def test_json_brings_rows_or_columns(shared: Service, body: dict[str, object]) -> None:
    dataset = shared.post("/v1/datasets", {**body, "name": "json"}, status=201)

    assert (dataset["name"], dataset["rows"], names(dataset)) == ("json", 2, ["a", "b"])
    assert shared.get(f"/v1/datasets/{dataset['id']}/rows")["data"] == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


def test_nan_and_infinity_in_json_rows_are_read(shared: Service) -> None:
    body = b'{"rows": [{"a": NaN}, {"a": Infinity}, {"a": 1.5}]}'

    dataset = shared.upload(body, type="application/json")

    column = dataset["columns"][0]
    assert (column["kind"], column["missing"], column["infinite"]) == ("numeric", 1, 1)
    assert shared.get(f"/v1/datasets/{dataset['id']}/rows")["data"] == [{"a": None}, {"a": "Infinity"}, {"a": 1.5}]


def test_a_sample_is_there_by_its_name(shared: Service) -> None:
    dataset = shared.post("/v1/datasets", {"sample": "iris"}, status=201)

    assert (dataset["name"], dataset["rows"], len(dataset["columns"])) == ("iris", 150, 5)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/rows"]),
        ({"sample": "iris", "rows": []}, ["/sample"]),
        ({"sample": "iris", "rows": [], "columns": {}}, ["/columns", "/sample"]),
        ({"rows": None}, ["/rows"]),
        ({"sample": "mnist"}, ["/sample"]),
        ({"rows": [{"a": "x\0"}]}, ["/rows/0/a"]),
        ({"rows": [1], "bogus": 2}, ["/bogus", "/rows/0"]),
        ({"rows": [{"a": [1]}]}, ["/rows/0/a"]),
        ({"rows": [{"a": 1}], "name": "x\0y"}, ["/name"]),
        ({"rows": [{"a": 1}], "schema": {"a": "nothing"}}, ["/schema/a"]),
        ({"rows": [{"a": 1}], "schema": {"columns": {"a": "nothing"}}}, ["/schema/columns/a"]),
    ],
)
def test_a_json_body_is_refused_where_it_is_wrong(shared: Service, body: dict[str, object], where: list[str]) -> None:
    assert pointers(shared.client.post("/v1/datasets", json=body)) == where


@pytest.mark.parametrize("schema", ["{", '{"a": "nothing"}', '{"columns": {"a": "nothing"}}', '{"b": "numeric"}'])
def test_what_is_wrong_with_a_schema_is_told_where_the_schema_stands(shared: Service, schema: str) -> None:
    table, rows = b"a\n1\n", {"rows": [{"a": 1}]}

    raw = shared.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}, params={"schema": schema})
    beside = shared.client.post("/v1/datasets", json=rows, params={"schema": schema})
    form = shared.client.post("/v1/datasets", files={"file": ("a.csv", table)}, data={"schema": schema})

    for by_query in (raw, beside):
        assert [fault.get("parameter") for fault in by_query.json()["errors"]] == ["schema"]
    assert [fault["pointer"].split("/")[1] for fault in form.json()["errors"]] == ["schema"]


def test_a_name_that_stands_twice_in_a_json_body_is_refused(shared: Service) -> None:
    body = b'{"columns": {"a": [1], "b": [2], "a": [3]}}'

    answer = shared.client.post("/v1/datasets", content=body, headers={"Content-Type": "application/json"})

    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [("/columns/a", "twice")]


def test_nothing_is_kept_of_a_refused_upload(service: Service) -> None:
    before = set(service.settings.folder.rglob("*"))

    answer = service.client.post("/v1/datasets", content=b"a,b\n1,2\n3\n", headers={"Content-Type": "text/csv"})

    assert assert_problem(answer, 422, "invalid_data")["detail"].startswith("Line 3")
    assert service.get("/v1/datasets")["data"] == []
    assert {path for path in service.settings.folder.rglob("*") if path.is_file()} <= before


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(sqlite_url: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", max_upload_bytes=1000, max_body_bytes=100)) as service:
        declared = service.client.post("/v1/datasets", content=b"a\n" * 1000, headers={"Content-Type": "text/csv"})
        streamed = service.client.post("/v1/datasets", content=iter([b"a\n" * 300] * 2), headers={"Content-Type": "text/csv"})
        json = service.client.post("/v1/datasets", json={"rows": [{"a": 1}] * 20})
        spec = service.client.post("/v1/jobs", json={"dataset": "x" * 200, "target": "y"})

    for answer in (declared, streamed, json, spec):
        assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "application/pdf"}, {}, {"Content-Type": "text/csv", "Content-Encoding": "br"}]
)
def test_a_media_type_that_is_not_read_is_415(shared: Service, headers: dict[str, str]) -> None:
    assert_problem(shared.client.post("/v1/datasets", content=b"a\n1\n", headers=headers), 415, "unsupported_media_type")


def test_a_form_s_file_of_no_known_name_or_type_is_told_both(shared: Service) -> None:
    answer = shared.client.post("/v1/datasets", files={"file": ("x.xlsx", b"a\n1\n", "application/vnd.ms-excel")})

    detail = assert_problem(answer, 415, "unsupported_media_type")["detail"]
    assert detail.startswith("What the part `file` holds is not known: let its name end in csv, tsv, jsonl, ndjson, parquet,")
    assert ", or its type be text/csv, " in detail
    assert "multipart" not in detail


def test_lists_are_paged_by_the_last_id_and_leave_columns_out(service: Service) -> None:
    ids = [service.described() for _ in range(3)]

    first = service.get("/v1/datasets", limit=2)
    second = service.get("/v1/datasets", limit=2, after=first["next"])

    assert [dataset["id"] for dataset in first["data"]] == [ids[2], ids[1]]
    assert (first["object"], first["has_more"], first["next"]) == ("list", True, ids[1])
    assert ([dataset["id"] for dataset in second["data"]], second["has_more"], second["next"]) == ([ids[0]], False, None)
    assert "columns" not in first["data"][0]


def test_statistics_stand_at_columns(shared: Service) -> None:
    dataset = shared.upload()

    size, city, _ = shared.get(f"/v1/datasets/{dataset['id']}/columns")["data"]

    assert (size["min"], size["max"], size["mean"]) == (0.5, 39.5, pytest.approx(20.0))
    assert (city["cardinality"], city["top"][0]) == (2, {"value": "Bonn", "count": 20})


def test_the_preview_is_paged_in_row_order(shared: Service) -> None:
    dataset = shared.upload()

    first = shared.get(f"/v1/datasets/{dataset['id']}/rows", limit=30)
    second = shared.get(f"/v1/datasets/{dataset['id']}/rows", limit=30, after=first["next"])

    assert [row["size"] for row in first["data"] + second["data"]] == [number + 0.5 for number in range(40)]
    assert (first["has_more"], second["has_more"], second["next"]) == (True, False, None)


def test_the_content_comes_as_csv_where_it_is_asked_for(shared: Service) -> None:
    dataset = shared.upload()

    answer = shared.client.get(f"/v1/datasets/{dataset['id']}/content", headers={"Accept": "text/csv"})

    assert (answer.headers["content-type"].partition(";")[0], answer.content) == ("text/csv", CSV)


def test_the_content_comes_in_ranges_and_once_only(shared: Service) -> None:
    path = f"/v1/datasets/{shared.upload()['id']}/content"
    whole = shared.client.get(path)
    tag = whole.headers["etag"]

    part = shared.client.get(path, headers={"Range": "bytes=4-9", "If-Range": tag})
    changed = shared.client.get(path, headers={"Range": "bytes=4-9", "If-Range": '"another"'})
    beyond = shared.client.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    known = shared.client.get(path, headers={"If-None-Match": f'"another", {tag}'})

    assert (part.status_code, part.content) == (206, whole.content[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(whole.content)}"
    assert (changed.status_code, changed.content) == (200, whole.content)
    assert_problem(beyond, 416, "range_not_satisfiable")
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)


def test_csv_and_parquet_have_tags_of_their_own(shared: Service) -> None:
    path = f"/v1/datasets/{shared.upload()['id']}/content"
    parquet = shared.client.get(path).headers
    csv = shared.client.get(path, headers={"Accept": "text/csv"}).headers

    assert parquet["vary"] == csv["vary"] == "Accept"
    for header, status in ((csv["etag"], 304), (csv["etag"].removeprefix("W/"), 304), (parquet["etag"], 200)):
        again = shared.client.get(path, headers={"Accept": "text/csv", "If-None-Match": header})
        assert again.status_code == status


def test_csv_comes_in_pieces_of_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    frame = pl.DataFrame({f"c{number}": range(3000) for number in range(1024)})
    frame.write_parquet(path)

    pieces = list(to_csv(path))

    assert [piece.count(b"\n") for piece in pieces] == [1025, 1024, 952]
    assert pl.read_csv(io.BytesIO(b"".join(pieces))).equals(frame)


def test_a_dataset_that_a_live_job_needs_is_not_deleted(service: Service) -> None:
    dataset = service.upload()["id"]
    service.submit(dataset=dataset)

    refused = service.client.delete(f"/v1/datasets/{dataset}")
    Trained(service).finish()
    deleted = service.client.delete(f"/v1/datasets/{dataset}")

    assert_problem(refused, 409, "conflict")
    assert refused.headers["x-should-retry"] == "false"
    assert deleted.status_code == 204
    assert_problem(service.client.get(f"/v1/datasets/{dataset}"), 404, "not_found")
    assert not list((service.settings.folder / "files" / "datasets").iterdir())


def test_a_job_on_a_dataset_that_is_not_there_is_refused(shared: Service) -> None:
    answer = shared.client.post("/v1/jobs", json={"dataset": "ds_none", "target": "label"})

    assert pointers(answer) == ["/dataset"]
