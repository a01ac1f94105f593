"""Batch predictions over HTTP, with a worker in the same hands: what is asked for, refused, told and read."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import httpx2
import numpy as np
import polars as pl
import pytest

from app.domain.caller import Caller
from app.domain.errors import NotFound
from app.domain.ids import new_id
from app.services.batch_contents import BatchContents
from app.services.batch_predictions import BatchPredictions
from app.services.watcher import Watcher
from tests.api.service import assert_problem, pointers, running, settings_for
from tests.evaluation.yard import Yard, frame, with_gaps
from tests.life.world import RecordingBell

PATH = "/v1/batch_predictions"
ROWS, PART_ROWS = 150, 40


@pytest.fixture(scope="module")
def yard(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Parts of few rows; what the databases have a part in is tested elsewhere."""
    folder = tmp_path_factory.mktemp("batches")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'trainyard.db')}"
    with running(settings_for(url, folder / "data", batch_part_rows=PART_ROWS)) as service:
        yield Yard(service)


@pytest.fixture(scope="module")
def dataset(yard: Yard) -> str:
    return yard.upload(frame(ROWS))


@pytest.fixture(scope="module")
def job(yard: Yard, dataset: str) -> str:
    return str(yard.train(dataset=dataset, target="level", task="multiclass")["id"])


def ask(yard: Yard, **body: Any) -> dict[str, Any]:
    """One that must be accepted."""
    return yard.service.post(PATH, body, status=201)


def refused(yard: Yard, **body: Any) -> httpx2.Response:
    return yard.service.client.post(PATH, json=body)


def content(yard: Yard, id: str, what: str = "content", **headers: str) -> httpx2.Response:
    return yard.service.client.get(f"{PATH}/{id}/{what}", headers=headers)


def test_a_dataset_is_predicted_from_the_request_to_the_file(yard: Yard, job: str, dataset: str) -> None:
    asked = ask(yard, job=job, dataset=dataset, name="tonight")
    yard.work()

    ended = yard.service.get(f"{PATH}/{asked['id']}")
    answer = content(yard, asked["id"])
    found = pl.read_parquet(io.BytesIO(answer.content))
    assert (asked["status"], asked["terminal"], asked["bytes"], asked["progress"]["predicted"]) == ("queued", False, None, 0)
    assert (ended["status"], ended["terminal"], ended["attempt"], ended["error"]) == ("succeeded", True, 1, None)
    assert (ended["progress"]["predicted"], ended["progress"]["fraction"], ended["bytes"]) == (ROWS, 1, len(answer.content))
    assert (ended["object"], ended["name"], ended["job"], ended["model"]) == ("batch_prediction", "tonight", job, None)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"] == f'attachment; filename="{asked["id"]}.parquet"'
    assert found.columns == ["prediction", *(f"probability_{level}" for level in sorted(set(frame(ROWS)["level"])))]
    assert found.height == ROWS


def test_the_rows_are_answered_as_requests_with_them_are(yard: Yard, job: str) -> None:
    rows = with_gaps(frame(60, seed=3))
    asked = ask(yard, job=job, dataset=yard.upload(rows), format="csv")
    yard.work()

    sent = rows.select("x", "z", "flag", "city").to_dicts()
    expected = yard.service.post(f"/v1/jobs/{job}/predict", {"rows": sent})
    found = pl.read_csv(content(yard, asked["id"]).content)
    lines = [json.loads(line) for line in content(yard, asked["id"], "warnings").text.splitlines()]
    told = found.drop("prediction").to_numpy()
    assert found["prediction"].to_list() == expected["predictions"]
    assert told == pytest.approx(np.array(expected["probabilities"]))
    assert (told == told.astype(np.float32)).all()  # the network's numbers, written out
    by_place = lambda told: (told["row"], told["column"], told["code"])  # noqa: E731
    assert sorted(map(by_place, lines)) == sorted(map(by_place, expected["warnings"]))
    assert {json.dumps(line) for line in lines} == {json.dumps(line) for line in expected["warnings"]}


def test_warnings_are_counted_by_column(yard: Yard, job: str) -> None:
    rows = with_gaps(frame(60, seed=3)).with_columns(pl.lit(1).alias("spare"))
    asked = ask(yard, job=job, dataset=yard.upload(rows))
    yard.work()

    told = {(one["code"], one["column"]): one for one in yard.service.get(f"{PATH}/{asked['id']}")["warnings"]}

    assert told["missing_value", "x"]["count"] == rows["x"].null_count()
    assert told["unseen_category", "city"]["count"] == (rows["city"] == "Oslo").sum()
    assert told["extra_column", "spare"]["detail"] == "Column 'spare' is no feature of the model; it was ignored."
    assert ("extra_column", "level") not in told


def test_any_part_of_the_content_can_be_asked_for(yard: Yard, job: str, dataset: str) -> None:
    id = ask(yard, job=job, dataset=dataset, format="csv")["id"]
    yard.work()

    whole = content(yard, id)
    middle = content(yard, id, range=f"bytes={len(whole.content) // 3}-{2 * len(whole.content) // 3}")
    known = content(yard, id, **{"if-none-match": whole.headers["etag"]})

    assert len(whole.text.splitlines()) == ROWS + 1
    assert (middle.status_code, known.status_code) == (206, 304)
    assert middle.content == whole.content[len(whole.content) // 3 : 2 * len(whole.content) // 3 + 1]
    assert content(yard, id, range=f"bytes={len(whole.content)}-").status_code == 416


def test_a_model_is_predicted_with_in_the_version_that_its_alias_has_now(yard: Yard, job: str, dataset: str) -> None:
    [best] = [one for one in yard.service.get(f"/v1/jobs/{job}/checkpoints")["data"] if "best" in one["kinds"]]
    name = new_id("m")[:20]
    yard.service.post("/v1/models", {"name": name}, status=201)
    yard.service.post(f"/v1/models/{name}/versions", {"checkpoint": best["id"]}, status=201)

    for version in ({}, {"version": 1}, {"version": "default"}):
        asked = ask(yard, model=name, dataset=dataset, **version)
        assert (asked["model"], asked["version"], asked["checkpoint"], asked["job"]) == (name, 1, best["id"], job)
        yard.service.post(f"{PATH}/{asked['id']}/cancel")


def test_the_job_may_be_deleted_while_it_is_waited_for(yard: Yard, dataset: str) -> None:
    job = yard.train(dataset=dataset, target="price")["id"]
    asked = ask(yard, job=job, dataset=dataset)
    assert yard.service.client.delete(f"/v1/jobs/{job}").status_code == 204
    yard.work()

    assert yard.service.get(f"{PATH}/{asked['id']}")["status"] == "succeeded"
    assert pl.read_parquet(io.BytesIO(content(yard, asked["id"]).content)).schema == {"prediction": pl.Float64()}


def test_the_dataset_stays_until_it_is_over(yard: Yard, job: str) -> None:
    dataset = yard.upload(frame(20))
    asked = ask(yard, job=job, dataset=dataset)

    assert_problem(yard.service.client.delete(f"/v1/datasets/{dataset}"), 409, "conflict")
    yard.service.post(f"{PATH}/{asked['id']}/cancel")
    assert yard.service.client.delete(f"/v1/datasets/{dataset}").status_code == 204


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/dataset"]),
        ({"dataset": "ds_none", "job": "JOB"}, ["/dataset"]),
        ({"dataset": "DATASET", "job": "job_none"}, ["/job"]),
        ({"dataset": "DATASET", "job": "JOB", "checkpoint": "ckpt_none"}, ["/checkpoint"]),
        ({"dataset": "DATASET", "model": "none"}, ["/model"]),
        ({"dataset": "DATASET"}, [""]),
        ({"dataset": "DATASET", "job": ""}, ["/job"]),
        ({"dataset": "DATASET", "job": "JOB", "checkpoint": ""}, ["/checkpoint"]),
        ({"dataset": "DATASET", "job": "JOB", "model": "none"}, [""]),
        ({"dataset": "DATASET", "job": "JOB", "version": 1}, ["/version"]),
        ({"dataset": "DATASET", "model": "none", "checkpoint": "last"}, ["/checkpoint"]),
        ({"dataset": "DATASET", "job": "JOB", "format": "xlsx", "other": 1}, ["/format", "/other"]),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(
    yard: Yard, job: str, dataset: str, body: dict[str, str], places: list[str]
) -> None:
    known = {"JOB": job, "DATASET": dataset}

    assert pointers(refused(yard, **{name: known.get(value, value) for name, value in body.items()})) == places


def test_a_dataset_that_is_not_as_the_job_reads_it_is_refused_by_its_columns(yard: Yard, job: str) -> None:
    rows = frame(20).drop("z").with_columns(pl.lit("far").alias("x"), pl.lit(float("inf")).alias("unread"))
    answer = refused(yard, job=job, dataset=yard.upload(rows))

    assert pointers(answer) == ["/dataset"] * 2
    assert {"'x'", "'z'"} == {error["detail"].split()[1] for error in answer.json()["errors"]}


def test_a_target_is_not_needed(yard: Yard, job: str) -> None:
    asked = ask(yard, job=job, dataset=yard.upload(frame(20).select("x", "z", "flag", "city")))

    assert asked["warnings"] == []
    yard.service.post(f"{PATH}/{asked['id']}/cancel")


def test_a_job_without_a_checkpoint_is_a_conflict(yard: Yard, dataset: str) -> None:
    queued = yard.service.post("/v1/jobs", {"dataset": dataset, "target": "level"}, status=201)["id"]

    assert_problem(refused(yard, job=queued, dataset=dataset), 409, "conflict")
    yard.service.post(f"/v1/jobs/{queued}/cancel")


def test_one_that_is_asked_for_twice_with_a_key_is_made_once(yard: Yard, job: str, dataset: str) -> None:
    key, body = {"Idempotency-Key": new_id("k")}, {"job": job, "dataset": dataset}

    first, again = (yard.service.client.post(PATH, json=body, headers=key) for _ in range(2))
    other = yard.service.client.post(PATH, json={**body, "format": "csv"}, headers=key)

    assert (first.status_code, first.headers["location"]) == (201, f"{PATH}/{first.json()['id']}")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert_problem(other, 422, "idempotency_key_reused")
    yard.service.post(f"{PATH}/{first.json()['id']}/cancel")


def test_pause_resume_cancel_and_delete_do_as_with_a_job(yard: Yard, job: str, dataset: str) -> None:
    id = ask(yard, job=job, dataset=dataset)["id"]
    path = f"{PATH}/{id}"

    assert yard.service.post(f"{path}/pause")["status"] == "paused"
    yard.work()
    assert yard.service.post(f"{path}/resume")["status"] == "queued"
    assert_problem(yard.service.client.delete(path), 409, "conflict")
    cancelled = yard.service.post(f"{path}/cancel")
    assert (cancelled["status"], cancelled["terminal"], cancelled["finished_at"] is None) == ("cancelled", True, False)
    assert yard.service.post(f"{path}/cancel") == cancelled
    assert_problem(yard.service.client.post(f"{path}/resume"), 409, "conflict")
    for what in ("content", "warnings"):
        assert_problem(content(yard, id, what), 409, "conflict")
    assert not (yard.storage.root / "batch_predictions" / id).exists()
    assert yard.service.client.delete(path).status_code == 204
    assert_problem(yard.service.client.get(path), 404, "not_found")


def test_one_that_is_resumed_is_rung_for(yard: Yard, job: str, dataset: str) -> None:
    id, bell, database = ask(yard, job=job, dataset=dataset)["id"], RecordingBell(), yard.service.database
    batches = BatchPredictions(database, yard.storage, bell, Watcher(database, period=1))

    batches.pause(Caller(), id)
    batches.resume(Caller(), id)

    assert bell.rung == [id]
    batches.cancel(Caller(), id)


def test_what_is_deleted_leaves_no_bytes(yard: Yard, job: str, dataset: str) -> None:
    id = ask(yard, job=job, dataset=dataset)["id"]
    yard.work()
    folder = yard.storage.root / "batch_predictions" / id
    assert folder.exists()

    assert yard.service.client.delete(f"{PATH}/{id}").status_code == 204

    assert not folder.exists()


def test_what_is_deleted_before_it_could_be_read_is_not_found(yard: Yard, job: str, dataset: str) -> None:
    id = ask(yard, job=job, dataset=dataset)["id"]
    yard.work()
    contents = BatchContents(yard.service.database, yard.storage)
    row = contents.find(Caller(), id)
    yard.service.client.delete(f"{PATH}/{id}")

    with pytest.raises(NotFound):
        contents.stream(row, start=0, end=row.bytes)
    with pytest.raises(NotFound):
        contents.warnings(row)


def test_a_list_has_the_newest_first_and_pages(yard: Yard, job: str, dataset: str) -> None:
    ids = [ask(yard, job=job, dataset=dataset)["id"] for _ in range(3)]

    first = yard.service.get(PATH, limit=2)
    second = yard.service.get(PATH, limit=1, after=first["next"])

    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    for id in ids:
        yard.service.post(f"{PATH}/{id}/cancel")


def test_a_wait_ends_with_the_batch_prediction(yard: Yard, job: str, dataset: str) -> None:
    id = ask(yard, job=job, dataset=dataset)["id"]
    early = yard.service.get(f"{PATH}/{id}", wait=0.01)
    end = Timer(0.1, lambda: yard.service.client.post(f"{PATH}/{id}/cancel"))
    end.start()

    late = yard.service.get(f"{PATH}/{id}", wait=60)  # longer than the client does
    end.join()

    assert (early["status"], late["status"]) == ("queued", "cancelled")


def test_content_that_is_not_as_it_was_stored_is_not_handed_out(yard: Yard, job: str, dataset: str) -> None:
    id = ask(yard, job=job, dataset=dataset)["id"]
    yard.work()
    first = min((yard.storage.root / "batch_predictions" / id / "parts").iterdir())
    first.write_bytes(first.read_bytes()[::-1])

    assert_problem(content(yard, id), 500, "content_damaged")


def test_those_that_wait_count_for_the_quota_of_waiting_jobs(sqlite_url: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data", project_queued_jobs=1)) as service:
        yard = Yard(service)
        dataset = yard.upload(frame(40))
        job = yard.train(dataset=dataset, target="level", task="multiclass")["id"]
        ask(yard, job=job, dataset=dataset)

        assert_problem(refused(yard, job=job, dataset=dataset), 429, "queue_full")
        folders = list((yard.storage.root / "batch_predictions").iterdir())
    assert len(folders) == 1
