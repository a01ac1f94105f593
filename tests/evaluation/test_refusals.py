"""Evaluations that cannot be: each fault at its place, with the columns' names."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from app.domain.ids import new_id
from tests.api.service import assert_problem, damage, pointers
from tests.evaluation.yard import Yard, frame

SPEC: dict[str, Any] = {"target": "level", "task": "multiclass", "sample_weight": "w", "epochs": 1}
Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def job(yard: Yard) -> str:
    """One that the tests share."""
    return str(yard.train(dataset=yard.upload(frame(60)), **SPEC)["id"])


def words(rows: pl.DataFrame, *names: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit("a word").alias(name) for name in names)


FLAWS: dict[str, tuple[Change, list[str]]] = {
    "columns": (
        lambda rows: rows.drop("x", "level", "w"),
        [
            "'x' of the dataset {id} is not there.",
            "'level' of the dataset {id} is not there.",
            "'w' of the dataset {id} is not there.",
        ],
    ),
    "kinds": (
        lambda rows: words(rows, "x", "flag"),
        [
            "'x' of the dataset {id} is categorical; the job reads it as numeric.",
            "'flag' of the dataset {id} is categorical; the job reads it as boolean.",
        ],
    ),
    "weights": (
        lambda rows: rows.with_columns(w=-pl.col("w")),
        ["'w' of the dataset {id} has infinite or negative values, or only zeros."],
    ),
    "no target": (lambda rows: rows.with_columns(level=pl.lit(None, pl.Int64)), ["'level' of the dataset {id} has no values."]),
    "labels": (
        lambda rows: rows.with_columns(level=pl.when(pl.col("level") == 3).then(9).otherwise(pl.col("level"))),
        ["'level' of the dataset {id} has labels that the job's own dataset lacks, in 7 row(s)."],
    ),
    "size": (
        lambda rows: rows.with_columns(z=pl.lit(-1e200)),
        ["'z' of the dataset {id} has numbers that are too large for the network."],
    ),
    "infinity": (lambda rows: rows.with_columns(z=pl.lit(float("inf"))), ["'z' of the dataset {id} has 40 infinite value(s)."]),
}


@pytest.mark.parametrize("case", FLAWS)
def test_a_dataset_that_is_not_as_the_job_reads_it_is_refused_by_column(yard: Yard, job: str, case: str) -> None:
    change, sentences = FLAWS[case]
    other = yard.upload(change(frame(40, seed=1)))

    answer = yard.ask(job, other)

    assert pointers(answer) == ["/dataset"] * len(sentences)
    assert [fault["detail"] for fault in answer.json()["errors"]] == [f"Column {one}".format(id=other) for one in sentences]


def test_what_the_spec_refuses_to_impute_is_refused_here_too(yard: Yard) -> None:
    spec = {**SPEC, "features": ["z"], "preprocessing": {"missing": "error"}}
    job = yard.train(dataset=yard.upload(frame(60)), **spec)["id"]
    gap = yard.upload(frame(40).with_columns(z=pl.when(pl.col("z") > 0).then(pl.col("z"))))

    answer = yard.ask(job, gap)

    assert pointers(answer) == ["/dataset"]
    assert "missing value(s), which the spec refuses." in answer.text


def test_a_target_of_several_columns_needs_a_row_that_has_all(yard: Yard) -> None:
    job = yard.train(dataset=yard.upload(frame(60)), target=["price", "mass"], epochs=1)["id"]
    first = pl.int_range(pl.len()) < 20
    halves = frame(40).with_columns(price=pl.when(first).then(pl.col("price")), mass=pl.when(~first).then(pl.col("mass")))

    answer = yard.ask(job, yard.upload(halves))

    assert pointers(answer) == ["/dataset"]
    assert "No row of it has a value in every target column." in answer.text


def test_rows_that_weigh_nothing_have_no_loss(yard: Yard, job: str) -> None:
    only_without_target = pl.int_range(pl.len()) == 0
    rows = frame(40).with_columns(
        w=pl.when(only_without_target).then(1.0).otherwise(0.0), level=pl.when(~only_without_target).then(pl.col("level"))
    )

    answer = yard.ask(job, yard.upload(rows))

    assert pointers(answer) == ["/dataset"]
    assert "By the column 'w' every row has the weight 0." in answer.text


def test_what_is_not_there_is_not_found(yard: Yard, job: str) -> None:
    dataset = yard.upload(frame(20))
    absent = new_id("ds")

    assert absent in assert_problem(yard.ask(job, absent), 404, "not_found")["detail"]
    assert_problem(yard.ask(new_id("job"), dataset), 404, "not_found")
    assert_problem(yard.ask(job, dataset, checkpoint=new_id("ckpt")), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/dataset"),
        ({"dataset": 7}, "/dataset"),
        ({"dataset": "d" * 65}, "/dataset"),
        ({"dataset": "ds_1", "rows": []}, "/rows"),
        ({"dataset": "a\0b"}, "/dataset"),
    ],
    ids=str,
)
def test_a_body_that_is_none_is_refused(yard: Yard, job: str, body: dict[str, Any], where: str) -> None:
    assert pointers(yard.service.client.post(f"/v1/jobs/{job}/evaluate", json=body)) == [where]


def test_a_damaged_checkpoint_evaluates_nothing(yard: Yard) -> None:
    rows = yard.upload(frame(60))
    job = yard.train(dataset=rows, **SPEC)["id"]
    [checkpoint] = yard.service.get(f"/v1/jobs/{job}/checkpoints")["data"]
    damage(yard.service, checkpoint["id"], "model.onnx")

    assert_problem(yard.ask(job, rows), 500, "checkpoint_damaged")
