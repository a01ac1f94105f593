"""NaN, the infinities and a missing value stay four different things from the worker to the caller, on both databases."""

import csv
import io
import json
import math
from typing import Any

import polars as pl
import pytest

from tests.api.service import Service, Trained
from tests.api.test_stream import told

LOSS: dict[int, float | None] = {2: math.nan, 3: math.inf, 4: -math.inf}
ACCURACY: dict[int, float | None] = {1: None, 2: math.inf, 3: None, 4: math.nan}
LOSS_WORDS = [1.0, "NaN", "Infinity", "-Infinity", 0.2]
ACCURACY_WORDS = [None, "Infinity", None, "NaN", 0.5]
FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@pytest.fixture
def odd(service: Service) -> Trained:
    """A job over which all of them came."""
    service.submit()
    worker = Trained(service)
    worker.train(1, 5, loss=LOSS, accuracy=ACCURACY)
    worker.diverge(5)
    worker.finish()
    return worker


def assert_words(columns: dict[str, Any]) -> None:
    assert columns["train_loss"] == columns["val_loss"] == LOSS_WORDS
    assert columns["metrics"]["val_accuracy"] == ACCURACY_WORDS


def test_in_pages_and_samples_as_words(service: Service, odd: Trained) -> None:
    path = f"/v1/jobs/{odd.job.id}/history"

    assert_words(service.get(path))
    assert_words(service.get("/v1/history", job=odd.job.id)["data"][0])
    sample = service.get(path, max_points=4)
    assert (sample["sampled"], sample["epoch"]) == (True, [1, 2, 3, 5])
    assert sample["train_loss"] == [1.0, "NaN", "Infinity", 0.2]
    assert sample["metrics"]["val_accuracy"] == [None, "Infinity", None, 0.5]


def test_in_a_stream_as_words(service: Service, odd: Trained) -> None:
    with service.client.stream("GET", f"/v1/jobs/{odd.job.id}/stream") as answer:
        [columns] = [event.data for event in told(answer.iter_lines()) if event.event == "epochs"]

    assert_words(columns)


def test_in_files_as_their_readers_expect(service: Service, odd: Trained) -> None:
    def content(form: str) -> bytes:
        return service.client.get(f"/v1/jobs/{odd.job.id}/history", headers={"Accept": form}).content

    lines = [json.loads(line) for line in content("application/x-ndjson").splitlines()]
    cells = list(csv.DictReader(io.StringIO(content("text/csv").decode())))
    frame = pl.read_ipc_stream(content("application/vnd.apache.arrow.stream"))

    assert [line["train_loss"] for line in lines] == LOSS_WORDS
    assert [line["metrics"]["val_accuracy"] for line in lines] == ACCURACY_WORDS
    assert [row["val_loss"] for row in cells] == ["1.0", "NaN", "inf", "-inf", "0.2"]
    assert [row["val_accuracy"] for row in cells] == ["", "inf", "", "NaN", "0.5"]
    assert repr(frame["train_loss"].to_list()) == repr([FLOATS.get(str(word), word) for word in LOSS_WORDS])
    assert repr(frame["val_accuracy"].to_list()) == repr([FLOATS.get(str(word), word) for word in ACCURACY_WORDS])


def test_in_the_job_as_words(service: Service, odd: Trained) -> None:
    job = service.get(f"/v1/jobs/{odd.job.id}")

    assert (job["best"]["train_loss"], job["latest"]["val_loss"]) == ("NaN", "NaN")
