"""Recipes through a training process: data and a target alone, however odd the data are."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from onnxruntime import InferenceSession

from app.domain.job import Status
from app.domain.manifest import MANIFEST, Manifest
from tests.worker.yard import Killed, Yard, without_seconds

NUMBERS = "a,b,price\n" + "\n".join(f"{a},{b},{a * 1.5 + b * b + 0.25}" for a in range(8) for b in range(8)) + "\n"


@pytest.fixture
def recipe(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Yard:
    monkeypatch.setattr("tests.worker.yard.SPEC", {"target": "size", "recipe": "fast"})
    return yard


def test_data_and_a_target_alone_give_a_model_that_predicts(recipe: Yard) -> None:
    job = recipe.submit()

    recipe.work()

    ended = recipe.job(job.id)
    assert ended.status is Status.SUCCEEDED
    assert ended.best is not None
    assert float(ended.best["metrics"]["val_accuracy"]) > 0.9
    best = recipe.checkpoints(job)["best"]
    manifest = Manifest.model_validate_json(recipe.file(best, MANIFEST))
    assert manifest.temperature is not None
    session = InferenceSession(recipe.file(best, "model.onnx"))
    label, p = session.run(None, {"features": np.array([[9.0, 9.0], [0.0, 0.0], [math.nan, 4.0]])})
    assert list(label[:2]) == ["high", "low"]
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)


def test_numbers_are_predicted_within_their_range(recipe: Yard) -> None:
    job = recipe.submit(dataset=recipe.upload(NUMBERS), target="price")

    recipe.work()

    ended, best = recipe.job(job.id), recipe.checkpoints(job)["best"]
    assert ended.best is not None
    assert float(ended.best["metrics"]["val_r2"]) > 0.9
    session = InferenceSession(recipe.file(best, "model.onnx"))
    [found] = session.run(None, {"features": np.array([[1e6, 1e6], [-1e6, -1e6]])})
    assert 0.25 <= found.min() <= found.max() <= 7 * 1.5 + 49.25


def test_a_recipe_that_was_killed_ends_with_the_same_bits(recipe: Yard) -> None:
    undisturbed = recipe.submit()
    recipe.work()
    killed = recipe.submit()

    def die() -> None:
        if recipe.reports == 12:
            raise Killed

    recipe.on_report = die
    with pytest.raises(Killed):
        recipe.work(checkpoint=0)
    recipe.on_report = lambda: None
    recipe.bury()
    recipe.work()

    assert without_seconds(recipe.history(killed)) == without_seconds(recipe.history(undisturbed))
    for which in ("best", "last"):
        assert recipe.weights(recipe.checkpoints(killed)[which]) == recipe.weights(recipe.checkpoints(undisturbed)[which])


ODD: dict[str, pl.DataFrame] = {
    "three rows of two classes": pl.DataFrame({"a": [1.0, 2.0, 3.0], "size": ["x", "y", "x"]}),
    "a class of one row": pl.DataFrame({"a": np.arange(30.0), "size": ["x"] + ["y"] * 29}),
    "one class alone in a fold's sight": pl.DataFrame({"a": np.arange(8.0), "size": ["x"] * 7 + ["y"]}),
    "nothing but constants": pl.DataFrame({"a": [1.0] * 40, "size": ["x", "y"] * 20}),
    "no number at all": pl.DataFrame({"a": ["p", "q", "r", "q"] * 10, "size": ["x", "y"] * 20}),
    "empty, rare and many": pl.DataFrame(
        {
            "void": pl.Series([None] * 40, dtype=pl.Float64),
            "rare": [None if i % 7 else float(i) for i in range(40)],
            "many": [f"v{i}" for i in range(40)],
            "far": [1e15 if i == 3 else float(i) for i in range(40)],
            "size": ["x", "y"] * 20,
        }
    ),
    "more columns than rows": pl.DataFrame(
        {**{f"c{i}": np.sin(np.arange(30.0) * (i + 1)) for i in range(300)}, "size": ["x", "y", "z"] * 10}
    ),
    "one number for all": pl.DataFrame({"a": np.arange(30.0), "size": [2.5] * 30}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_give_a_model(recipe: Yard, name: str, tmp_path: Path) -> None:
    spec = {"task": "regression"} if name == "one number for all" else {}
    job = recipe.submit(dataset=recipe.upload(ODD[name].write_csv()), **spec)

    recipe.work()

    ended = recipe.job(job.id)
    assert ended.status is Status.SUCCEEDED, ended.stop_reason
    assert ended.best is not None
    assert math.isfinite(float(ended.best["val_loss"]))
    assert "model.onnx" in {file["name"] for file in recipe.checkpoints(job)["best"].files}
