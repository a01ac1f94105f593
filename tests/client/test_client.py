"""The client library against a real service."""

import gzip
import hashlib
import json
import math
import os
import signal
from pathlib import Path

import httpx2
import numpy as np
import polars as pl
import pytest

from app.upkeep.stale import marked
from tests.servers.plain import NOBODY
from tests.servers.processes import command_line, free_port
from tests.servers.service import Service
from trainyard import Client, TrainyardProblem
from trainyard.answers import Job, Prediction, numbers
from trainyard.sending import Given
from trainyard.suffixes import Unfit

SPEC: dict[str, object] = {"target": "species", "network": {"hidden_layers": [4]}, "batch_size": 16}


def submit(client: Client, **changes: object) -> Job:
    return client.submit({**SPEC, "dataset": client.sample("iris")["id"], **changes})


def test_a_file_is_uploaded_under_its_name(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("a,b\n1,x\n2,y\n")

    dataset = client.upload(file)

    assert (dataset["name"], dataset["rows"], [column["name"] for column in dataset["columns"]]) == ("numbers", 2, ["a", "b"])
    assert dataset["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_a_file_is_stands_in_its_name_or_is_said_and_a_schema_goes_with_it(client: Client, tmp_path: Path) -> None:
    table = b"a\tb\n1\tx\n2\ty\n"
    for name, content in (("one.tsv", table), ("two.TSV.gz", gzip.compress(table)), ("three.txt", table)):
        (tmp_path / name).write_bytes(content)
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_ipc(tmp_path / "four.feather")
    kinds = {"a": "categorical", "missing": ["y"]}

    stored = [client.upload(str(tmp_path / name)) for name in ("one.tsv", "two.TSV.gz", "four.feather")]
    said = client.upload(tmp_path / "three.txt", content_type="text/tab-separated-values", schema=kinds)

    assert {(one["rows"], one["columns"][0]["kind"]) for one in stored} == {(2, "numeric")}
    assert [(column["kind"], column["missing"]) for column in said["columns"]] == [("categorical", 0), ("categorical", 1)]
    with pytest.raises(Unfit, match=r"three.txt should end in \.csv, \.tsv, .*, or its type be said"):
        client.upload(tmp_path / "three.txt")


def test_the_main_job_from_upload_to_prediction(client: Client, tmp_path: Path) -> None:
    job = submit(client, epochs=40)

    followed = [epoch for page in client.follow(job["id"]) for epoch in page["epoch"]]
    done = client.wait(job["id"])
    history = client.history(job["id"])
    best = next(checkpoint for checkpoint in client.checkpoints(job["id"]) if "best" in checkpoint["kinds"])
    weights = next(file for file in best["files"] if file["name"] == "weights.safetensors")
    downloaded = client.download(best["id"], "weights.safetensors", tmp_path / "weights").read_bytes()
    flower = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    prediction = client.predict(job["id"], [flower, flower])

    assert done["stop_reason"] == "max_epochs"
    assert followed == history["epoch"] == list(range(1, 41))
    assert done["best"] is not None
    assert best["val_loss"] == min(loss for loss in history["val_loss"] if loss is not None) == done["best"]["val_loss"]
    assert hashlib.sha256(downloaded).hexdigest() == weights["sha256"]
    assert prediction["checkpoint"] == best["id"]
    evaluated = client.evaluate(job["id"], job["dataset"], checkpoint=best["id"])
    assert (evaluated["epoch"], evaluated["rows"]) == (best["epoch"], 150)
    assert evaluated["loss"] is not None
    assert 0 < evaluated["loss"] < 5
    assert evaluated["metrics"].keys() == {name.removeprefix("val_") for name in done["best"]["metrics"]}
    assert prediction["predictions"][0] == prediction["predictions"][1]
    assert prediction["probabilities"] is not None
    assert sum(prediction["probabilities"][0]) == pytest.approx(1)
    assert rows_of_every_kind(client, job["id"], flower, tmp_path) == [prediction] * 6


def rows_of_every_kind(client: Client, job: str, flower: dict[str, float], folder: Path) -> list[Prediction]:
    """The answers for two flowers as columns and as files; an answer in a file has the same predictions."""
    (folder / "rows.csv").write_text("\n".join([",".join(flower), *[",".join(map(str, flower.values()))] * 2]))
    (folder / "rows.json").write_text(json.dumps({"rows": [flower, flower]}))
    given: list[Given] = [{name: [size, size] for name, size in flower.items()}, folder / "rows.csv", folder / "rows.json"]
    given += [str(folder / "rows.csv"), np.array([[*flower.values()]] * 2), pl.DataFrame([flower, flower])]
    answers = [client.predict(job, rows) for rows in given]
    labels = answers[0]["predictions"]
    assert client.predict(job, given[1], outputs=["predictions"]) == {**answers[0], "probabilities": None}
    csv = client.predict_to(str(folder / "answer.csv"), job, given[1], outputs=["predictions"]).read_text()
    assert csv.splitlines() == ["prediction", *map(str, labels)]
    with pytest.raises(Unfit, match=r"should end in \.csv"):
        client.predict_to(folder / "answer.xlsx", job, given[1])
    return answers


class NAType:
    """What pandas has for a missing value of a nullable type; by this name it is known."""


class NaTType:
    """The same for a time."""


def test_what_is_not_a_number_is_sent_as_missing_and_what_is_infinite_is_refused_by_its_place(client: Client) -> None:
    job = client.wait(submit(client, epochs=1)["id"], timeout=60)["id"]
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    flower = [math.nan, 3.5, 1.4, 0.2]
    frame = pl.DataFrame([flower], schema=names, orient="row")
    given: list[Given] = [[flower], [dict(zip(names, flower, strict=True))], [np.array(flower)], np.array([flower]), frame]
    given += [[[missing(), *flower[1:]]] for missing in (NAType, NaTType)]
    infinite: list[Given] = [[flower, [1, 2, math.inf, 4]], {"petal_width": [1, 2, -math.inf]}]

    expected = client.predict(job, [[None, *flower[1:]]])

    assert [client.predict(job, rows) for rows in given] == [expected] * len(given)
    assert client.predict(job, [[np.float32(5), np.int64(3), 1, 0.5]]) == client.predict(job, [[5, 3, 1, 0.5]])
    for rows, place in zip(infinite, ("Row 1, column 2", "Row 2, column 'petal_width'"), strict=True):
        with pytest.raises(Unfit, match=f"{place}: the number is infinite"):
            client.predict(job, rows)


def test_a_clone_trains_the_same_but_for_what_is_set(client: Client) -> None:
    job = client.wait(submit(client, epochs=3)["id"], timeout=60)

    # One after the other: in one stack they would learn other bits.
    again = client.wait(client.clone(job["id"])["id"], timeout=60)
    changes = {"epochs": 5, "optimizer.learning_rate": 0.01}
    longer = client.wait(client.clone(job["id"], set=changes)["id"], timeout=60)

    assert client.history(again["id"])["train_loss"] == client.history(job["id"])["train_loss"]
    assert client.history(longer["id"])["learning_rate"] == [0.01] * 5


def test_a_job_is_trained_for_longer_and_its_weights_are_tuned_on(client: Client) -> None:
    whole, job = (client.wait(submit(client, epochs=epochs)["id"], timeout=60) for epochs in (20, 10))
    last = next(checkpoint["id"] for checkpoint in client.checkpoints(job["id"]) if "last" in checkpoint["kinds"])

    longer = client.clone(job["id"], from_checkpoint=last, continues=True, set={"epochs": 20})
    tuned = client.clone(job["id"], from_checkpoint=last, set={"optimizer.learning_rate": 0.0001})
    over = [client.wait(made["id"], timeout=60) for made in (longer, tuned)]

    assert [job["status"] for job in over] == ["succeeded", "succeeded"]
    assert (longer["start"], tuned["start"]) == ({"checkpoint": last, "epoch": 10}, {"checkpoint": last, "epoch": 0})
    ours, theirs = client.history(longer["id"]), client.history(whole["id"])
    assert (ours["epoch"], ours["train_loss"], ours["val_loss"]) == (theirs["epoch"], theirs["train_loss"], theirs["val_loss"])
    assert client.history(tuned["id"])["train_loss"][0] == pytest.approx(client.history(longer["id"])["train_loss"][9], rel=0.5)


def test_jobs_are_listed_by_what_holds_of_them(client: Client) -> None:
    job = client.wait(submit(client, epochs=1, name="found", metadata={"a.b": "c d"})["id"], timeout=60)
    submit(client, epochs=1, name="found")

    assert [found["id"] for found in client.jobs(name="found", metadata={"a.b": "c d"}, dataset=job["dataset"])] == [job["id"]]


def test_a_plan_knows_what_the_training_process_may_use(service: Service, client: Client) -> None:
    plan = client.plan({**SPEC, "dataset": client.sample("iris")["id"]})

    [worker] = httpx2.get(f"{service.url}/v1/system", verify=NOBODY).json()["workers"]
    assert worker["memory"] > 0
    assert plan["memory"] is not None
    assert plan["memory"]["budget"] == worker["memory"]


def test_following_survives_a_killed_api_and_shows_every_epoch_once(service: Service, client: Client) -> None:
    job = submit(client, epochs=4000)
    followed: list[int] = []

    for page in client.follow(job["id"]):
        if not followed:
            os.kill(api(service), signal.SIGKILL)
        followed += page["epoch"]

    assert followed == list(range(1, 4001))


def api(service: Service) -> int:
    return min(pid for pid in marked(service.folder) if "app.server" in command_line(pid))


def test_a_thinned_stream_tells_each_nth_epoch(client: Client) -> None:
    job = submit(client, epochs=20)
    client.wait(job["id"])

    assert [epoch for page in client.follow(job["id"], every=5) for epoch in page["epoch"]][-3:] == [10, 15, 20]


def test_a_refused_spec_tells_all_that_is_wrong_at_once(client: Client) -> None:
    with pytest.raises(TrainyardProblem) as caught:
        submit(client, epochs=0, optimizer={"name": "sgd", "betas": [0.9, 0.99]})

    problem = caught.value
    assert problem.status == 422
    assert {fault.place for fault in problem.faults} >= {"/epochs", "/optimizer/betas"}
    assert "/epochs: " in str(problem)


def test_an_unknown_job_is_a_problem_with_a_code(client: Client) -> None:
    with pytest.raises(TrainyardProblem, match="job_none") as caught:
        client.job("job_none")

    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_jobs_are_listed_the_newest_first(client: Client) -> None:
    made = [submit(client, epochs=1)["id"] for _ in range(3)]

    assert [job["id"] for job in client.jobs(limit=3)] == made[::-1]


def test_waiting_ends_at_its_limit(client: Client) -> None:
    job = submit(client, epochs=2_000_000)

    with pytest.raises(TimeoutError, match=job["id"]):
        client.wait(job["id"], timeout=0.1)

    client.cancel(job["id"])
    assert client.wait(job["id"])["status"] == "cancelled"


def test_a_service_that_is_not_there_is_a_transport_error() -> None:
    with Client(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(httpx2.TransportError):
        client.job("job_none")


def test_numbers_that_json_has_no_word_for_come_back_as_numbers() -> None:
    missing, nan, infinite = numbers([None, "NaN", "-Infinity"])

    assert missing is None
    assert nan is not None
    assert math.isnan(nan)
    assert infinite == -math.inf
