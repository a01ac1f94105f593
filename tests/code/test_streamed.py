"""The script of a job that read its rows from disk takes them in the order in which they were shuffled there."""

from pathlib import Path
from typing import Any

import pytest

from app.domain.spec import Window
from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.test_networks import ADAMW, ALL, BINS, GROUPS
from tests.code.trained import cells, check, upload, word

# Thirty-odd training rows are seven blocks, the last of them smaller, in three windows.
WINDOW = Window(block_rows=5, blocks=3)
CASES: list[dict[str, Any]] = [
    {},
    {"network": {"hidden_layers": [6], "dropout": 0.3}, "sample_weight": "weight", "batch_size": 7},
    {"target": ["number", "count"], "task": "regression", "features": ["city", "code"]},
    {"network": ALL | {"numeric_features": BINS}, "parameter_groups": GROUPS, "optimizer": ADAMW},
]


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return upload(service, cells())


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_shuffles_within_the_jobs_windows(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    script = check(service, python, tmp_path, window=WINDOW, dataset=dataset, **case)

    assert "in memory" in script


def test_a_streamed_job_of_one_batch_has_no_windows(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path
) -> None:
    script = check(service, python, tmp_path, window=WINDOW, dataset=dataset, batch_size="full")

    assert "WINDOW" not in script
