"""The script of a job that has a recipe: data and a target alone."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.trained import assert_same_curve, cells, check, files, train, upload, word

FEATURES: dict[str, Any] = {"features": ["number", "gap", "city", "level", "code"], "columns": {"code": "categorical"}}
NUMBERS: dict[str, Any] = {"target": ["value", "count"], "task": "regression"}
CASES: list[dict[str, Any]] = [
    {"target": "label"},
    {"target": "value"},
    {"target": ["pair", "flag"]},
    NUMBERS,
    {"target": "label", "split": {"method": "column", "column": "part"}},
    {"target": "value", "split": {"method": "column", "column": "part"}, "sample_weight": "weight"},
    {"target": "label", "split": {"test": 0.2}, "sample_weight": "weight", "class_weights": "balanced"},
    {"target": "label", "features": ["city"]},
    {**NUMBERS, "recipe": "strong"},
    {"target": "pair", "features": ["number", "code"], "optimize": "auc"},
]


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    """Three times as many rows, so that an epoch has several batches."""
    rows = [{**row, "number": float(str(row["number"])) + i} for i in range(3) for row in cells()]
    return upload(service, [{**row, "part": "validation" if i % 5 == 0 else "train"} for i, row in enumerate(rows)])


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_of_a_recipe_prints_the_stored_losses(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, stop_reason=None, dataset=dataset, **({"recipe": "fast"} | FEATURES | case))


@pytest.mark.parametrize("target", ["label", "value"])
def test_in_its_own_precision_a_recipe_begins_as_its_script_does(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, target: str
) -> None:
    job = train(service, dataset=dataset, recipe="fast", target=target, precision="fp32", **FEATURES)
    script, *data = files(service, job, tmp_path)

    assert_same_curve(service, job, python.run(script, *data), tolerance=1e-5, epochs=3)
