"""The script of a job whose target is several columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.trained import cells, check, named, upload, word

NUMBERS: dict[str, Any] = {"target": ["price", "weight", "half"], "features": ["number", "city", "code"]}
COUNTS: dict[str, Any] = {"target": ["count", "visits"], "task": "regression", "preprocessing": {"target": "none"}}
LABELS: dict[str, Any] = {"target": ["ripe", "large"], "features": ["number", "city", "code"]}
MIXED: dict[str, Any] = {"target": ["ripe", "zero", "one"], "task": "multilabel", "features": ["number", "city"]}
LOSSES: list[dict[str, Any]] = [
    {"name": "mse"},
    {"name": "l1"},
    {"name": "huber", "delta": 0.8},
    {"name": "quantile", "q": 0.8},
]


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    """Numbers of very different sizes, one of them constant, and labels as yes and no, 1 and 0, 1.0 and 0.0; with gaps."""
    draw = np.random.default_rng(5)
    rows: list[dict[str, object]] = []
    for i, row in enumerate(cells()):
        noise = float(str(row["number"])) + draw.normal(size=6)
        numbers: dict[str, object] = {
            "price": "" if i in (3, 4) else 1e3 + 9e2 * noise[0],
            "weight": "" if i in (4, 7) else noise[1],
        }
        labels: dict[str, object] = {"ripe": bool(noise[2] > 0), "large": "" if i == 9 else bool(noise[3] > 0.5)}
        whole: dict[str, object] = {"zero": int(noise[4] > 0), "one": float(noise[5] > 0), "visits": int(draw.poisson(3.0))}
        rows.append({**row, **numbers, **labels, **whole, "half": 0.1, "share": float(draw.uniform(0.2, 2))})
    return upload(service, rows)


CASES: list[dict[str, Any]] = [
    *named("loss", *LOSSES, **NUMBERS),
    *named("loss", *LOSSES, **NUMBERS, sample_weight="share"),
    *named("loss", *LOSSES, **NUMBERS, preprocessing={"target": "none"}, batch_size="full"),
    {**NUMBERS, "batch_size": "full", "split": {"validation": 0.0}},
    *named("loss", {"name": "poisson"}, {"name": "l1"}, **COUNTS),
    *named("loss", {"name": "poisson"}, {"name": "l1"}, **COUNTS, sample_weight="share"),
    *named("loss", {"name": "bce"}, {"name": "focal"}, {"name": "focal", "gamma": 0.5}, **LABELS),
    *named("loss", {"name": "bce"}, {"name": "focal"}, **MIXED, sample_weight="share"),
    {"target": ["pair", "zero"], "columns": {"pair": "numeric"}},
    {"target": ["ripe", "pair"], "columns": {"pair": "numeric", "ripe": "numeric"}},
]


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_of_several_targets_prints_the_stored_losses(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, dataset=dataset, **case)


RULE: dict[str, Any] = {"patience": 3, "min_delta": 0.03}
STOPPING: list[dict[str, Any]] = [
    *({**NUMBERS, "early_stopping": {"metric": f"val_{name}", **RULE}} for name in ("loss", "rmse")),
    {**LABELS, "early_stopping": {"metric": "val_log_loss", **RULE}},
    {**MIXED, "sample_weight": "share", "early_stopping": {"metric": "val_accuracy", **RULE}},
]


@pytest.mark.parametrize("case", STOPPING, ids=word)
def test_the_script_of_several_targets_stops_where_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, stop_reason="early_stopping", dataset=dataset, **case)
