"""Checkpoints over HTTP, and predictions with them."""

import hashlib
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.columns import CategoricalColumn, FittedColumn, FittedTarget, NumericColumn
from app.domain.schema import StorageType
from tests.api.service import Service, Trained, assert_problem, damage, pointers
from tests.serving.checkpoints import files

WEIGHTS = bytes(range(256)) * 40


@pytest.fixture
def worker(service: Service) -> Trained:
    service.submit()
    worker = Trained(service)
    worker.train(1, 50)
    return worker


def test_checkpoints_are_listed_with_their_files(service: Service, worker: Trained) -> None:
    best = worker.checkpoint(20, "best", "periodic", files={"weights.safetensors": WEIGHTS})
    last = worker.checkpoint(50, "last")

    listed = service.get(f"/v1/jobs/{worker.job.id}/checkpoints")

    assert (listed["object"], listed["has_more"], [c["id"] for c in listed["data"]]) == ("list", False, [best, last])
    first = listed["data"][0]
    assert first | {"created_at": ""} == {
        "id": best,
        "object": "checkpoint",
        "job": worker.job.id,
        "epoch": 20,
        "kinds": ["best", "periodic"],
        "train_loss": 0.05,
        "val_loss": None,
        "metrics": {"val_accuracy": 0.5},
        "files": [{"name": "weights.safetensors", "bytes": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}],
        "created_at": "",
    }
    assert service.get(f"/v1/checkpoints/{best}") == first


@pytest.fixture(scope="module")
def path(shared: Service) -> str:
    shared.submit(priority=100)
    worker = Trained(shared)
    id = worker.checkpoint(50, "last", files={"weights.safetensors": WEIGHTS})
    worker.finish()
    return f"/v1/checkpoints/{id}/files/weights.safetensors"


def test_a_file_comes_whole_with_its_hash_as_entity_tag(shared: Service, path: str) -> None:
    answer = shared.client.get(path)

    tag = answer.headers["etag"]
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert (tag, answer.headers["accept-ranges"]) == (f'"{hashlib.sha256(WEIGHTS).hexdigest()}"', "bytes")
    assert shared.client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert shared.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("range", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, 10240), ("bytes=-7", 10233, 10240), ("bytes=10230-99999", 10230, 10240)],
)
def test_a_range_is_answered_with_its_place(shared: Service, path: str, range: str, start: int, stop: int) -> None:
    answer = shared.client.get(path, headers={"Range": range})

    assert (answer.status_code, answer.content) == (206, WEIGHTS[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(WEIGHTS)}"


@pytest.mark.parametrize("range", ["bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=9-3"])
def test_a_range_that_cannot_be_read_means_the_whole_file(shared: Service, path: str, range: str) -> None:
    assert shared.client.get(path, headers={"Range": range}).content == WEIGHTS


def test_a_range_of_another_version_means_the_whole_file(shared: Service, path: str) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"other"'}

    assert shared.client.get(path, headers=headers).content == WEIGHTS


def test_a_range_beyond_the_file_is_416(shared: Service, path: str) -> None:
    answer = shared.client.get(path, headers={"Range": "bytes=10240-"})

    assert_problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10240"


@pytest.mark.parametrize("name", ["state.safetensors", "..%2f..%2fx", "model.json.bak"])
def test_a_file_that_is_not_the_checkpoints_is_not_found(shared: Service, path: str, name: str) -> None:
    assert_problem(shared.client.get(f"{path.rpartition('/')[0]}/{name}"), 404, "not_found")


NUMBER = partial(NumericColumn, type=StorageType.FLOAT64, kind="numeric", impute=0.0)
COLUMNS: list[FittedColumn] = [
    NUMBER(name="size"),
    CategoricalColumn(name="city", type=StorageType.STRING, kind="categorical", levels=["Ulm"]),
]
TARGET = FittedTarget(name="label", type=StorageType.STRING, classes=["no", "yes"])


def model(seed: int) -> dict[str, bytes]:
    return files(COLUMNS, TARGET, seed=seed).content


def test_rows_and_columns_are_predicted_with_the_best_checkpoint(service: Service, worker: Trained) -> None:
    best = worker.checkpoint(20, "best", files=model(1))
    worker.checkpoint(50, "last", files=model(2))
    path = f"/v1/jobs/{worker.job.id}/predict"

    objects = service.post(path, {"rows": [{"size": 1, "city": "Ulm"}, {"size": 2.5, "city": "Ulm"}]})
    lists = service.post(path, {"rows": [[1, "Ulm"], [2.5, "Ulm"]]})
    columns = service.post(path, {"columns": {"size": [1, 2.5], "city": ["Ulm", "Ulm"]}})

    assert objects == lists == columns
    assert (objects["object"], objects["checkpoint"], objects["classes"]) == ("prediction", best, ["no", "yes"])
    assert [sum(row) for row in objects["probabilities"]] == pytest.approx([1, 1])


def test_a_prediction_may_name_its_checkpoint(service: Service, worker: Trained) -> None:
    ids = {"best": worker.checkpoint(20, "best", files=model(1)), "last": worker.checkpoint(50, "last", files=model(2))}
    path, body = f"/v1/jobs/{worker.job.id}/predict", {"rows": [[1, "Ulm"]]}

    chosen = [service.post(f"{path}?checkpoint={which}", body)["checkpoint"] for which in ("best", "last", ids["last"])]

    assert chosen == [ids["best"], ids["last"], ids["last"]]
    assert_problem(service.client.post(f"{path}?checkpoint=ckpt_other", json=body), 404, "not_found")


def test_before_the_first_checkpoint_there_is_a_conflict_that_says_so(service: Service, worker: Trained) -> None:
    path = f"/v1/jobs/{worker.job.id}/predict"

    problem = assert_problem(service.client.post(path, json={"rows": [[1]]}), 409, "conflict")
    only = worker.checkpoint(20, "best", files=model(1))
    answer = service.post(f"{path}?checkpoint=last", {"rows": [[1, "Ulm"]]})

    assert problem["detail"].startswith("The job is running and has no checkpoint yet")
    assert answer["checkpoint"] == only


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"rows": [{"size": "x", "city": "Ulm"}, {"city": "Ulm"}]}, ["/rows/0/size", "/rows/1/size"]),
        ({"rows": [], "columns": {}}, ["/columns"]),
        ({}, ["/rows"]),
        ({"bogus": 1}, ["/bogus"]),
        ({"rows": 5}, ["/rows"]),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_row_and_column(small: Service, body: dict[str, Any], where: list[str]) -> None:
    id = small.submit()["id"]
    Trained(small).checkpoint(1, "best", files=model(1))

    assert pointers(small.client.post(f"/v1/jobs/{id}/predict", json=body)) == where


def test_a_nan_is_a_missing_value(small: Service) -> None:
    id = small.submit()["id"]
    Trained(small).checkpoint(1, "best", files=model(1))

    answer = small.client.post(
        f"/v1/jobs/{id}/predict", content='{"rows": [[NaN, "Ulm"]]}', headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["warnings"]


@pytest.mark.parametrize("range", [None, "bytes=0-9"])
def test_a_damaged_file_is_a_problem_and_not_garbage(small: Service, range: str | None) -> None:
    id = small.submit()["id"]
    worker = Trained(small)
    checkpoint = worker.checkpoint(20, "best", "last", files={"weights.safetensors": WEIGHTS})
    damage(small, checkpoint, "weights.safetensors")

    answer = small.client.get(
        f"/v1/checkpoints/{checkpoint}/files/weights.safetensors", headers={"Range": range} if range else {}
    )

    assert_problem(answer, 500, "checkpoint_damaged")
    assert checkpoint in answer.json()["detail"]
    assert small.get(f"/v1/jobs/{id}/checkpoints")["data"]


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_a_damaged_checkpoint_predicts_nothing(small: Service, name: str) -> None:
    id = small.submit()["id"]
    checkpoint = Trained(small).checkpoint(20, "best", "last", files=model(1))
    damage(small, checkpoint, name)

    with capture_logs() as told:
        answer = small.client.post(f"/v1/jobs/{id}/predict", json={"rows": [[1, "Ulm"]]})

    assert_problem(answer, 500, "checkpoint_damaged")
    assert name in answer.json()["detail"]
    assert [line["code"] for line in told if line["event"] == "request.failed"] == ["checkpoint_damaged"]
