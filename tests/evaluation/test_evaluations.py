"""Evaluations over HTTP: what is answered, of which checkpoint, and of which rows."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.api.service import assert_problem, running, settings_for
from tests.evaluation.yard import Yard, frame, with_gaps

SPEC: dict[str, Any] = {"target": "level", "task": "multiclass", "sample_weight": "w", "epochs": 2}


@pytest.fixture(scope="module")
def job(yard: Yard) -> dict[str, Any]:
    """One that the tests share."""
    return yard.train(dataset=yard.upload(frame(60)), **SPEC)


@pytest.fixture(scope="module")
def dataset(yard: Yard) -> str:
    """Other rows with the same columns."""
    return yard.upload(frame(40, seed=1))


def test_an_evaluation_is_answered_with_loss_metrics_and_what_was_evaluated(database_url: str, tmp_path: Path) -> None:
    with running(settings_for(database_url, tmp_path / "data")) as service:
        yard = Yard(service)
        job, other = yard.train(dataset=yard.upload(frame(60)), **SPEC)["id"], yard.upload(frame(40, seed=1))
        best = next(one for one in service.get(f"/v1/jobs/{job}/checkpoints")["data"] if "best" in one["kinds"])

        found = yard.evaluate(job, other)

    told = {name: found[name] for name in ("object", "job", "checkpoint", "epoch", "dataset", "rows")}
    assert told == {
        "object": "evaluation",
        "job": job,
        "checkpoint": best["id"],
        "epoch": best["epoch"],
        "dataset": other,
        "rows": 40,
    }
    assert 0 < found["loss"] < 5
    assert list(found["metrics"]) == ["accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc", "brier"]


def test_any_checkpoint_of_the_job_is_evaluated(yard: Yard, dataset: str) -> None:
    spec = {**SPEC, "checkpoints": {"every": 1, "keep": 3}, "epochs": 6, "optimizer": {"name": "sgd", "learning_rate": 3.0}}
    job = yard.train(dataset=yard.upload(frame(60)), **spec)["id"]
    stored = yard.service.get(f"/v1/jobs/{job}/checkpoints")["data"]
    last = next(one for one in stored if "last" in one["kinds"])

    found = {one["id"]: yard.evaluate(job, dataset, checkpoint=one["id"]) for one in stored}

    assert [answer["epoch"] for answer in found.values()] == [one["epoch"] for one in stored]
    assert len({answer["loss"] for answer in found.values()}) == len(stored) > 2
    assert yard.evaluate(job, dataset, checkpoint="last") == found[last["id"]]


def test_a_job_that_is_not_over_is_evaluated(sqlite_url: str, tmp_path: Path) -> None:
    with running(settings_for(sqlite_url, tmp_path / "data")) as service:
        yard = Yard(service)
        rows = yard.upload(frame(60))
        id = service.post("/v1/jobs", {**SPEC, "dataset": rows, "features": ["x", "z"], "epochs": 500}, status=201)["id"]
        early = yard.ask(id, rows)
        yard.work(reports=3)

        found = yard.evaluate(id, rows)

        assert service.get(f"/v1/jobs/{id}")["terminal"] is False
    assert "no checkpoint yet" in assert_problem(early, 409, "conflict")["detail"]
    assert (found["rows"], found["epoch"] > 0) == (60, True)


def test_gaps_and_strangers_are_counted(yard: Yard, job: dict[str, Any]) -> None:
    rows = with_gaps(frame(40, seed=1))
    known = rows.drop_nulls("level")
    unseen = known.filter(pl.col("city") == "Oslo")

    found = yard.evaluate(job["id"], yard.upload(rows))

    assert found["rows"] == len(known) == 37
    told = [(warning["code"], warning["column"], warning["count"]) for warning in found["warnings"]]
    assert told == [
        ("missing_target", None, 3),
        ("missing_value", "x", known["x"].null_count()),
        ("missing_value", "city", known["city"].null_count()),
        ("unseen_category", "city", len(unseen)),
    ]
    assert min(count for *_, count in told) > 0


def test_rows_without_a_target_change_no_number(yard: Yard, job: dict[str, Any]) -> None:
    rows = with_gaps(frame(40, seed=1))

    some, whole = (yard.evaluate(job["id"], yard.upload(part)) for part in (rows, rows.drop_nulls("level")))

    assert (some["loss"], some["metrics"]) == (whole["loss"], whole["metrics"])
