"""A category of another dataset is what a prediction reads of the same cells, or the dataset is refused."""

import io
from collections.abc import Sequence
from typing import Any

import httpx2
import polars as pl
import pytest

from tests.api.service import pointers
from tests.evaluation.yard import Yard

SPEC: dict[str, Any] = {"target": "y", "features": ["b"], "epochs": 60, "optimizer": {"name": "adam", "learning_rate": 0.1}}


def rows(cells: Sequence[object]) -> pl.DataFrame:
    """Cells and a label that follows from the first half of them."""
    return pl.DataFrame({"b": cells, "y": ["p" if place < len(cells) / 2 else "q" for place in range(len(cells))]})


def batch_of(yard: Yard, job: str, dataset: str) -> httpx2.Response:
    return yard.service.client.post("/v1/batch_predictions", json={"job": job, "dataset": dataset})


@pytest.fixture(scope="module")
def yes_or_no(yard: Yard) -> str:
    """A job that reads truth values as categories."""
    dataset = yard.upload(rows([True] * 20 + [False] * 20))
    return str(yard.train(dataset=dataset, columns={"b": "categorical"}, **SPEC)["id"])


@pytest.mark.parametrize("cells", [[True, False], [1, 0], [1.0, 0.0], ["TRUE", "False"]], ids=str)
def test_truth_values_are_read_however_another_dataset_has_them(yard: Yard, yes_or_no: str, cells: list[object]) -> None:
    other = yard.upload(rows(cells))

    evaluated = yard.evaluate(yes_or_no, other)
    batch = batch_of(yard, yes_or_no, other).json()["id"]
    yard.work()
    told = yard.service.get(f"/v1/batch_predictions/{batch}")
    predicted = pl.read_parquet(io.BytesIO(yard.service.client.get(f"/v1/batch_predictions/{batch}/content").content))

    assert (evaluated["metrics"]["accuracy"], evaluated["warnings"]) == (1.0, [])
    assert (predicted["prediction"].to_list(), told["warnings"]) == (["p", "q"], [])


def test_another_dataset_validates_with_the_categories_that_it_has(yard: Yard) -> None:
    own, other = yard.upload(rows([True] * 20 + [False] * 20)), yard.upload(rows([1] * 5 + [0] * 5))

    job = yard.train(dataset=own, validation_dataset=other, columns={"b": "categorical"}, **SPEC)

    assert job["best"]["metrics"]["val_accuracy"] == 1.0


def test_a_dataset_whose_spelling_was_lost_is_refused_with_the_cure(yard: Yard) -> None:
    own, other = yard.upload(rows(["01", "A1"] * 20)), yard.upload(rows([1, 2] * 5))
    job = str(yard.train(dataset=own, **SPEC)["id"])
    checkpoint, *_ = yard.service.get(f"/v1/jobs/{job}/checkpoints")["data"]
    validated = {"dataset": own, "validation_dataset": other, **SPEC}

    found = {
        "/dataset": [yard.ask(job, other), batch_of(yard, job, other)],
        "/validation_dataset": [yard.service.client.post("/v1/jobs", json=validated)],
        "/set/dataset": [
            yard.service.client.post(
                f"/v1/jobs/{job}/clone", json={"from_checkpoint": checkpoint["id"], "set": {"dataset": other}}
            )
        ],
    }

    for place, answers in found.items():
        for answer in answers:
            assert pointers(answer) == [place]
            assert "the job's category '01' is not spelt so; upload it with the schema" in answer.text
