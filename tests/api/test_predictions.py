"""Predictions over HTTP: every format in and out, for jobs, checkpoints and models, by both ways through the process."""

import gzip
import io
import json
import zlib
from typing import Any

import httpx2
import polars as pl
import pytest

from tests.api.keys import bearer, locked_service, make
from tests.api.metrics import samples, value
from tests.api.registry import named
from tests.api.service import Service, Trained, assert_problem, pointers, running, settings_for
from tests.serving.checkpoints import files
from tests.serving.test_formats import COLUMNS, ONE

JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"
ROWS = {"rows": ONE.to_dicts()}


@pytest.fixture(scope="module")
def checkpoint(shared: Service) -> str:
    """Of a job that still trains."""
    shared.submit(priority=100)
    worker = Trained(shared)
    return worker.checkpoint(5, "best", files=files(COLUMNS, seed=1).content)


@pytest.fixture(scope="module")
def path(shared: Service, checkpoint: str) -> str:
    """Of the job."""
    return f"/v1/jobs/{shared.get(f'/v1/checkpoints/{checkpoint}')['job']}"


def arrow() -> bytes:
    buffer = io.BytesIO()
    ONE.write_ipc_stream(buffer)
    return buffer.getvalue()


BODIES = {JSON: json.dumps(ROWS).encode(), CSV: ONE.write_csv().encode(), ARROW: arrow()}


def predict(service: Service, path: str, type: str, *, accept: str = "*/*", body: bytes = b"", **more: str) -> httpx2.Response:
    headers = {"Content-Type": type, "Accept": accept, **more}
    answer = service.client.post(f"{path}/predict", content=body or BODIES[type], headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_job_a_checkpoint_and_a_model_answer_the_same_in_every_format(shared: Service, path: str, checkpoint: str) -> None:
    model = named(shared, "answers-in-every-format", checkpoint)
    expected = shared.post(f"{path}/predict", ROWS)

    assert expected["checkpoint"] == checkpoint
    for type in BODIES:
        for of in (path, f"/v1/checkpoints/{checkpoint}"):
            assert predict(shared, of, type).json() == expected
        for of in (model, f"{model}/versions/1", f"{model}/versions/default"):
            assert predict(shared, of, type).json() == expected | {"model": "answers-in-every-format", "version": 1}


def test_the_answer_comes_in_the_format_that_accept_likes(shared: Service, path: str, checkpoint: str) -> None:
    told = predict(shared, path, JSON).json()
    csv = predict(shared, path, CSV, accept="text/csv")
    stream = predict(shared, path, ARROW, accept=f"{JSON};q=0.5, {ARROW}")

    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert stream.headers["content-type"] == ARROW
    assert predict(shared, path, CSV, accept="text/html, */*;q=0.1").json() == told
    for table, answer in ((pl.read_csv(csv.content), csv), (pl.read_ipc_stream(stream.content), stream)):
        assert table["prediction"].to_list() == told["predictions"]
        assert answer.headers["prediction-checkpoint"] == checkpoint
        assert json.loads(answer.headers["prediction-warnings"]) == told["warnings"]


def test_a_table_of_a_model_tells_which_version_it_was(shared: Service, checkpoint: str) -> None:
    answer = predict(shared, named(shared, "tells-its-version", checkpoint), CSV, accept=CSV)

    assert (answer.headers["prediction-model"], answer.headers["prediction-version"]) == ("tells-its-version", "1")


@pytest.mark.parametrize("type", BODIES)
def test_outputs_are_chosen_in_the_query(shared: Service, path: str, type: str) -> None:
    def chosen(query: str) -> dict[str, Any]:
        answer = shared.client.post(f"{path}/predict?{query}", content=BODIES[type], headers={"Content-Type": type})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    whole = predict(shared, path, type).json()
    assert chosen("outputs=predictions") == whole | {"probabilities": None}
    assert chosen("outputs=probabilities") == whole | {"predictions": None}
    assert chosen("outputs=probabilities&outputs=predictions&checkpoint=best") == whole
    assert pointers(shared.client.post(f"{path}/predict?outputs=labels", content=BODIES[type], headers={"Content-Type": type}))


def test_outputs_are_chosen_once(shared: Service, path: str) -> None:
    body = {**ROWS, "outputs": ["predictions"]}

    assert shared.post(f"{path}/predict", body)["probabilities"] is None
    assert pointers(shared.client.post(f"{path}/predict?outputs=predictions", json=body)) == ["/outputs"]


COMPRESSIONS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate without a frame": lambda data: zlib.compress(data, wbits=-15),
}


@pytest.mark.parametrize("type", BODIES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_body_may_be_compressed(shared: Service, path: str, type: str, compression: str) -> None:
    body, encoding = COMPRESSIONS[compression](BODIES[type]), compression.partition(" ")[0]

    answer = predict(shared, path, type, body=body, **{"Content-Encoding": encoding})

    assert answer.json() == predict(shared, path, type).json()


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("br", b"x", 415, "unsupported_media_type"),
        ("gzip", b"x", 400, "unparsable"),
        ("deflate", b"\xff" * 9, 400, "unparsable"),
        ("gzip", gzip.compress(BODIES[JSON])[:-9], 400, "unparsable"),
        ("gzip", gzip.compress(b" " * 33 * 2**20), 413, "too_large"),
        ("deflate", zlib.compress(b" " * 33 * 2**20), 413, "too_large"),
    ],
)
def test_a_compressed_body_that_is_none_or_a_bomb_is_refused(
    shared: Service, path: str, encoding: str, body: bytes, status: int, code: str
) -> None:
    headers = {"Content-Type": JSON, "Content-Encoding": encoding}

    assert_problem(shared.client.post(f"{path}/predict", content=body, headers=headers), status, code)


@pytest.mark.parametrize("type", ["text/plain", "application/x-ndjson", "application/vnd.apache.parquet", ""])
def test_another_content_type_is_refused(shared: Service, path: str, type: str) -> None:
    answer = shared.client.post(f"{path}/predict", content=BODIES[JSON], headers={"Content-Type": type})

    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"rows": [[1e999e]]}'])
@pytest.mark.parametrize("query", ["", "?checkpoint=best"])
def test_what_is_no_json_is_unparsable_by_either_way(shared: Service, path: str, query: str, body: bytes) -> None:
    assert_problem(
        shared.client.post(f"{path}/predict{query}", content=body, headers={"Content-Type": JSON}), 400, "unparsable"
    )


def test_the_way_beside_the_framework_and_the_one_through_it_answer_alike(shared: Service, path: str) -> None:
    """A query takes the second; both have ids, and the same words for what is wrong."""
    bodies = [ROWS, {"rows": [[1]]}, {"rows": []}, {"rowz": 1}, [1]]
    for body in bodies:
        lane, framework = (shared.client.post(f"{path}/predict{query}", json=body) for query in ("", "?checkpoint=best"))
        assert lane.headers["x-request-id"].startswith("req_")
        assert lane.status_code == framework.status_code
        assert without_ids(lane) == without_ids(framework)
        assert {*lane.headers} == {*framework.headers}


def test_both_ways_are_counted_by_their_route(shared: Service, path: str) -> None:
    labels = {"method": "POST", "route": "/v1/jobs/{job_id}/predict", "status": "200"}
    before = value(samples(shared.client.get("/metrics")), "requests_total", **labels)

    for query in ("", "?checkpoint=best"):
        shared.post(f"{path}/predict{query}", ROWS)

    assert value(samples(shared.client.get("/metrics")), "requests_total", **labels) == before + 2


def without_ids(answer: httpx2.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_more_than_a_call_may_have_is_refused(sqlite_url: str, valkey_server: str, tmp_path: Any) -> None:
    changes: dict[str, object] = {"max_predict_rows": 3, "max_body_bytes": 2000}
    with running(settings_for(sqlite_url, tmp_path / "data", redis_url=valkey_server, **changes)) as service:
        id = service.submit()["id"]
        Trained(service).checkpoint(1, "best", files=files(COLUMNS).content)
        path = f"/v1/jobs/{id}/predict"
        row = list(ONE.row(0))

        assert service.post(path, {"rows": [row] * 3})["predictions"]
        for query in ("", "?checkpoint=best"):
            assert_problem(service.client.post(path + query, json={"rows": [row] * 4}), 413, "too_large")
            assert_problem(service.client.post(path + query, json={"rows": [row] * 400}), 413, "too_large")
            answer = service.client.post(path + query, content="size\n" + "1\n" * 4, headers={"Content-Type": CSV})
            assert assert_problem(answer, 413, "too_large")["detail"] == "There are more than 3 rows."


def test_a_key_needs_the_scope_to_read_and_is_refused_once_it_is_revoked(
    sqlite_url: str, valkey_server: str, tmp_path: Any
) -> None:
    with locked_service(sqlite_url, tmp_path / "data", broker=valkey_server) as service:
        id = service.submit()["id"]
        Trained(service).checkpoint(1, "best", files=files(COLUMNS).content)
        keys = {scope: make(service, scopes=[scope]) for scope in ("read", "write")}

        for path in (f"/v1/jobs/{id}/predict", f"/v1/jobs/{id}/predict?checkpoint=best"):
            statuses = [
                service.client.post(path, json=ROWS, headers=bearer(secret)).status_code
                for secret in (keys["read"]["secret"], keys["write"]["secret"], "nobody's")
            ]
            assert statuses == [200, 403, 401]
        service.client.delete(f"/v1/keys/{keys['read']['id']}")
        for path in (f"/v1/jobs/{id}/predict", f"/v1/jobs/{id}/predict?checkpoint=best"):
            assert_problem(service.client.post(path, json=ROWS, headers=bearer(keys["read"]["secret"])), 401, "unauthorized")


def test_a_deleted_job_predicts_nothing_at_once(service: Service) -> None:
    id = service.submit()["id"]
    worker = Trained(service)
    checkpoint = worker.checkpoint(1, "best", files=files(COLUMNS).content)
    worker.finish()
    assert service.post(f"/v1/jobs/{id}/predict", ROWS)["checkpoint"] == checkpoint

    service.client.delete(f"/v1/jobs/{id}")

    for of in (f"/v1/jobs/{id}", f"/v1/checkpoints/{checkpoint}"):
        assert_problem(service.client.post(f"{of}/predict", json=ROWS), 404, "not_found")


def test_the_document_describes_every_format(shared: Service) -> None:
    operations = {
        operation["operationId"]: operation
        for methods in shared.get("/openapi.json")["paths"].values()
        for operation in methods.values()
    }

    for id in ("predict", "predict_checkpoint", "predict_model", "predict_model_version"):
        assert {*BODIES} <= operations[id]["requestBody"]["content"].keys()
        assert {*BODIES} <= operations[id]["responses"]["200"]["content"].keys()
        assert {parameter["name"] for parameter in operations[id]["parameters"]} >= {"outputs"}
    assert {"checkpoint", "job_id"} <= {parameter["name"] for parameter in operations["predict"]["parameters"]}
    assert {"objects", "lists", "columns"} == {*operations["predict"]["requestBody"]["content"][JSON]["examples"]}
