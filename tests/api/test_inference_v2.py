"""The Open Inference Protocol over HTTP, as an unmodified client of other servers speaks it, and where it is told by hand."""

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from app.domain.columns import FittedColumn, FittedTarget
from app.domain.schema import StorageType
from tests.api.keys import bearer, locked_service
from tests.api.registry import named, register
from tests.api.service import Service, Trained, assert_problem
from tests.serving.checkpoints import NUMBER, TEXT, files

NUMERIC: list[FittedColumn] = [NUMBER(name=name) for name in ("a", "b", "c")]
MIXED: list[FittedColumn] = [NUMBER(name="size"), TEXT(name="city", levels=["Bonn", "Köln", "Ulm"])]
LABEL = FittedTarget(name="y", type=StorageType.STRING, classes=["ja", "nein", "vielleicht — ü"])
ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
CITIES = np.array([["Ulm"], ["Köln"], ["Oslo"]], dtype=np.object_)
SIZES = np.array([[1.5], [np.nan], [-3.0]])


@pytest.fixture(scope="module")
def worker(shared: Service) -> Trained:
    """Of a job that trains."""
    shared.submit(priority=100)
    return Trained(shared)


@pytest.fixture(scope="module")
def numeric(worker: Trained) -> str:
    """A checkpoint of numbers."""
    return worker.checkpoint(1, "periodic", files=files(NUMERIC, LABEL, seed=3).content)


@pytest.fixture(scope="module")
def mixed(worker: Trained, numeric: str) -> str:
    """A checkpoint of numbers and texts, the best of the job."""
    return worker.checkpoint(2, "best", files=files(MIXED, LABEL, seed=4).content)


@pytest.fixture(scope="module")
def model(shared: Service, numeric: str, mixed: str) -> str:
    """A model whose second version takes other columns than the first, to which `default` points."""
    path = named(shared, "v2-model", numeric)
    register(shared, path, mixed)
    return "v2-model"


@pytest.fixture(scope="module")
def triton(shared: Service) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(f"127.0.0.1:{shared.client.base_url.port}") as client:
        yield client


def put(name: str, values: Any, datatype: str, *, binary: bool = True) -> Any:
    found = InferInput(name, list(values.shape), datatype)
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def told(shared: Service, model: str, rows: list[Any], version: str = "default") -> dict[str, Any]:
    return shared.post(f"/v1/models/{model}/versions/{version}/predict", {"rows": rows})


def test_the_server_is_alive_and_ready_and_says_what_it_is(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    about = triton.get_server_metadata()
    assert (about["name"], about["extensions"]) == ("trainyard", ["binary_tensor_data"])


def test_a_model_and_a_version_are_ready_and_described(triton: InferenceServerClient, model: str) -> None:
    assert triton.is_model_ready(model)
    assert triton.is_model_ready(model, "2")
    assert not triton.is_model_ready(model, "3")
    assert not triton.is_model_ready("nobody")

    first, second = triton.get_model_metadata(model), triton.get_model_metadata(model, "2")

    assert first == triton.get_model_metadata(model, "default")
    assert (first["name"], first["versions"], first["platform"]) == (model, ["1", "2"], "onnxruntime_onnx")
    assert first["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
    assert [(one["name"], one["datatype"], one["shape"]) for one in second["inputs"]] == [
        ("size", "FP64", [-1, 1]),
        ("city", "BYTES", [-1, 1]),
    ]
    assert [output["name"] for output in second["outputs"]] == ["label", "probabilities"]


@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False, None])
def test_a_tensor_is_predicted_in_both_modes(
    shared: Service, triton: InferenceServerClient, model: str, binary_input: bool, binary_output: bool | None
) -> None:
    """Without named outputs the client asks for all of them in binary."""
    names = ["label", "probabilities"] if binary_output is not None else []
    outputs = [InferRequestedOutput(name, binary_data=binary_output) for name in names] or None

    answer = triton.infer(model, [put("features", ROWS, "FP32", binary=binary_input)], outputs=outputs, request_id="mine")

    expected = told(shared, model, ROWS.astype(np.float64).tolist())
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")]
    assert labels == expected["predictions"]
    assert answer.as_numpy("probabilities").astype(np.float64).tolist() == expected["probabilities"]
    about = answer.get_response()
    assert (about["id"], about["model_name"], about["model_version"]) == ("mine", model, "1")
    assert about["parameters"] == {"checkpoint": expected["checkpoint"]}


@pytest.mark.parametrize("binary", [True, False])
def test_columns_of_numbers_and_texts_are_predicted_and_warned_of(
    shared: Service, triton: InferenceServerClient, model: str, binary: bool
) -> None:
    inputs = [put("size", SIZES, "FP64", binary=binary), put("city", CITIES, "BYTES", binary=binary)]

    answer = triton.infer(model, inputs, model_version="2")

    expected = told(shared, model, [[1.5, "Ulm"], [None, "Köln"], [-3.0, "Oslo"]], "2")
    assert answer.as_numpy("probabilities").astype(np.float64).tolist() == expected["probabilities"]
    assert json.loads(answer.get_response()["parameters"]["warnings"]) == expected["warnings"]
    assert {warning["code"] for warning in expected["warnings"]} == {"missing_value", "unseen_category"}


@pytest.mark.parametrize("request_algorithm", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_algorithm", [None, "gzip", "deflate"])
def test_bodies_may_be_compressed_both_ways(
    triton: InferenceServerClient, model: str, request_algorithm: str | None, response_algorithm: str | None
) -> None:
    many = np.tile(ROWS, (400, 1))

    answer = triton.infer(
        model,
        [put("features", many, "FP32")],
        request_compression_algorithm=request_algorithm,
        response_compression_algorithm=response_algorithm,
    )

    alone = triton.infer(model, [put("features", ROWS, "FP32")]).as_numpy("probabilities")
    np.testing.assert_allclose(answer.as_numpy("probabilities"), np.tile(alone, (400, 1)), rtol=1e-6)


def test_a_job_is_a_model_and_its_checkpoints_are_versions(
    triton: InferenceServerClient, worker: Trained, numeric: str, mixed: str
) -> None:
    job = worker.job.id

    described = triton.get_model_metadata(job)
    best = triton.infer(job, [put("size", SIZES, "FP64"), put("city", CITIES, "BYTES")])
    first = triton.infer(job, [put("features", ROWS, "FP32")], model_version=numeric)

    assert described["versions"] == [numeric, mixed]
    assert [one["name"] for one in described["inputs"]] == ["size", "city"]
    assert best.get_response()["model_version"] == mixed
    assert first.get_response()["model_version"] == numeric


@pytest.mark.parametrize(
    ("name", "inputs", "status", "words"),
    [
        ("nobody", [put("features", ROWS, "FP32")], 404, "no model 'nobody'"),
        ("v2-model", [put("features", ROWS[:, :2], "FP32")], 422, r"\[rows, 3\]"),
        ("v2-model", [put("wrong", ROWS, "FP32")], 422, "The model takes `features`"),
        ("v2-model", [put("features", np.full((1, 3), np.inf, np.float32), "FP32")], 422, "infinite"),
    ],
)
def test_a_refusal_reaches_the_client_in_words(
    triton: InferenceServerClient, model: str, name: str, inputs: list[Any], status: int, words: str
) -> None:
    with pytest.raises(InferenceServerException, match=words) as caught:
        triton.infer(name, inputs)

    assert caught.value.status() == str(status)


def infer(shared: Service, body: bytes, **headers: str) -> httpx2.Response:
    """With these headers alone: the client's own would ask for a compressed answer."""
    request = shared.client.build_request("POST", "/v2/models/v2-model/infer", content=body, headers=headers)
    if "Accept-Encoding" not in headers:
        del request.headers["Accept-Encoding"]
    return shared.client.send(request)


BODY = json.dumps({"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}).encode()


@pytest.mark.parametrize("type", [None, "application/json", "application/octet-stream", "text/plain"])
def test_no_content_type_is_needed_and_none_hinders(shared: Service, model: str, type: str | None) -> None:
    answer = infer(shared, BODY, **({"Content-Type": type} if type else {}))

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"", 400, "unparsable"),
        ({}, b"[" * 100_000, 400, "unparsable"),
        ({"Inference-Header-Content-Length": "x"}, BODY, 422, "invalid_request"),
        ({"Inference-Header-Content-Length": "-1"}, BODY, 422, "invalid_request"),
        ({"Inference-Header-Content-Length": "9" * 30}, BODY, 422, "invalid_request"),
        ({"Inference-Header-Content-Length": "999"}, BODY, 400, "unparsable"),
        ({"Inference-Header-Content-Length": "5"}, BODY, 400, "unparsable"),
        ({"Content-Encoding": "zstd"}, BODY, 415, "unsupported_media_type"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b" " * 33 * 2**20), 413, "too_large"),
        ({}, b"x" * 33 * 2**20, 413, "too_large"),
    ],
)
def test_an_error_has_its_words_as_error_too(
    shared: Service, model: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = infer(shared, body, **headers)

    assert assert_problem(answer, status, code)["error"] == answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/nothing", 404, "not_found"),
        ("GET", "/v2/models/nobody", 404, "not_found"),
        ("GET", "/v2/models/nobody/ready", 404, "not_found"),
        ("GET", "/v2/models/v2-model/infer", 405, "method_not_allowed"),
        ("POST", "/v2", 405, "method_not_allowed"),
        ("POST", "/v2/models/v2-model/infer?x=1", 422, "invalid_request"),
    ],
)
def test_every_error_of_the_protocol_has_its_words_as_error(
    shared: Service, model: str, method: str, path: str, status: int, code: str
) -> None:
    problem = assert_problem(shared.client.request(method, path), status, code)

    assert problem["error"] == problem["detail"]


def test_an_error_elsewhere_has_no_such_member(shared: Service) -> None:
    assert "error" not in assert_problem(shared.client.get("/v1/v2"), 404, "not_found")


def test_a_large_answer_is_compressed_for_those_who_ask_for_it(shared: Service, model: str) -> None:
    features = {"name": "features", "datatype": "FP32", "shape": [2000, 3], "data": [0.5] * 6000}
    body = json.dumps({"inputs": [features]}).encode()

    plain = infer(shared, body)
    answers = {
        encoding: infer(shared, body, **{"Accept-Encoding": encoding}) for encoding in ("gzip", "deflate", "br", "gzip;q=0")
    }

    assert "content-encoding" not in plain.headers
    assert {encoding: answer.headers.get("content-encoding") for encoding, answer in answers.items()} == {
        "gzip": "gzip",
        "deflate": "deflate",
        "br": None,
        "gzip;q=0": None,
    }
    assert answers["gzip"].headers["vary"] == "Accept-Encoding"
    assert {answer.content for answer in answers.values()} == {plain.content}


def test_bytes_go_both_ways_by_hand(shared: Service, model: str) -> None:
    """Lengths are four bytes, little-endian."""
    texts = b"".join(struct.pack("<I", len(text)) + text for text in ("Köln".encode(), b""))
    inputs = [
        {"name": "city", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(texts)}},
        {"name": "size", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]},
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()

    answer = shared.client.post(
        "/v2/models/v2-model/versions/2/infer",
        content=zlib.compress(head + texts),
        headers={"Inference-Header-Content-Length": str(len(head)), "Content-Encoding": "deflate"},
    )

    length = int(answer.headers["inference-header-content-length"])
    label = json.loads(answer.content[:length])["outputs"][0]
    size = label["parameters"]["binary_data_size"]
    expected = told(shared, model, [[1.0, "Köln"], [2.0, None]], "2")["predictions"]
    data = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in expected)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (label["datatype"], label["shape"]) == ("BYTES", [2])
    assert answer.content[length : length + size] == data


def test_health_needs_no_key_and_all_else_does(sqlite_url: str, valkey_server: str, tmp_path: Any) -> None:
    with locked_service(sqlite_url, tmp_path / "data", broker=valkey_server) as service:
        client = service.client
        nobody = bearer("nobody's")

        assert client.get("/v2/health/live", headers=nobody).json() == {"live": True}
        assert client.get("/v2/health/ready", headers=nobody).json() == {"ready": True}
        for method, path in (("GET", "/v2"), ("GET", "/v2/models/x"), ("POST", "/v2/models/x/infer")):
            problem = assert_problem(client.request(method, path, headers=nobody), 401, "unauthorized")
            assert problem["error"]


def test_a_job_without_a_checkpoint_is_not_ready(small: Service) -> None:
    id = small.submit()["id"]

    problem = assert_problem(small.client.get(f"/v2/models/{id}/ready"), 409, "conflict")

    assert "no checkpoint yet" in problem["error"]
