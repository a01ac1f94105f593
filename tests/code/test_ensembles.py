"""The script of an ensemble: its networks one after the other in each epoch, judged as the job's were."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.test_networks import ADAMW, ALL, GROUPS
from tests.code.trained import cells, check, named, upload, word

THREE: dict[str, Any] = {"ensemble": {"members": 3}, "epochs": 8}
SEVERAL: dict[str, Any] = {"target": ["value", "count"], "task": "regression", "features": ["number", "city"]}
LABELS: dict[str, Any] = {"target": ["pair", "flag"], "features": ["number", "city", "code"]}
NUMBER: dict[str, Any] = {"target": "value", "task": "regression", "preprocessing": {"target": "standard"}}
COUNT: dict[str, Any] = {
    "target": "count",
    "task": "regression",
    "loss": {"name": "poisson"},
    "preprocessing": {"target": "none"},
}
PAIR: dict[str, Any] = {"target": "pair", "loss": {"name": "bce"}}
PLATEAU: dict[str, Any] = {"name": "plateau", "factor": 0.5, "patience": 1, "threshold": 0.05}

TARGETS: list[dict[str, Any]] = [{}, PAIR, NUMBER, COUNT, SEVERAL, LABELS]
BATCHES: list[dict[str, Any]] = [
    *({"batch_size": size} for size in (1, 2, 5, 9, "full")),
    {"batch_size": 5, "split": {"test": 0.2}, "ensemble": {"members": 7}},
    {"sample_weight": "weight", "class_weights": "balanced"},
    {"sample_weight": "weight", "batch_size": 2, **NUMBER},
    {"sample_weight": "weight", "batch_size": "full", **SEVERAL},
    {"network": {"hidden_layers": [5, 4], "dropout": [0.3, 0.2]}},
    {"network": {"hidden_layers": [5], "dropout": 0.3}, "batch_size": "full"},
    *({"network": {"hidden_layers": [5], "normalization": name}, "batch_size": 5} for name in ("batch", "layer")),
    {"network": {"hidden_layers": [5], "normalization": "batch"}, "batch_size": 2, "ensemble": {"members": 2}},
    {"network": ALL, "parameter_groups": GROUPS, "optimizer": ADAMW, "regularization_schedule": "flat_cosine"},
    {"gradient_clip_norm": 0.05, "record_every": 3},
]
SCHEDULES: list[dict[str, Any]] = named(
    "lr_schedule",
    {"name": "cosine", "warmup_epochs": 2},
    {"name": "one_cycle", "warmup_epochs": 2},
    {"name": "log_cosine"},
    PLATEAU,
    {**PLATEAU, "warmup_epochs": 2},
    parameter_groups={"bias": {"learning_rate_factor": 0.5}},
)


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return upload(service, cells())


@pytest.mark.parametrize("case", [*TARGETS, *BATCHES, *SCHEDULES], ids=word)
def test_each_network_leaves_out_its_fold_as_in_the_job(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    script = check(service, python, tmp_path, dataset=dataset, **(THREE | case))

    assert "folds" in script


@pytest.mark.parametrize("case", [*TARGETS, *SCHEDULES], ids=word)
def test_rows_of_their_own_are_judged_by_all_networks_together(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    script = check(service, python, tmp_path, dataset=dataset, split={"validation": 0.25}, **(THREE | case))

    assert "pooled" in script


def test_networks_that_nothing_judges_are_trained_all_the_same(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path
) -> None:
    check(
        service, python, tmp_path, dataset=dataset, split={"validation": 0.0}, ensemble={"members": 3, "folds": False}, epochs=5
    )


@pytest.mark.parametrize("split", [{}, {"validation": 0.25}], ids=["folds", "rows of their own"])
@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "val_accuracy", "patience": 2},
        {"patience": "cycle", "min_delta": 0.2},
        {"metric": "val_log_loss", "patience": 2},
    ],
    ids=word,
)
def test_networks_stop_together_where_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, split: dict[str, Any], rule: dict[str, Any]
) -> None:
    check(
        service,
        python,
        tmp_path,
        stop_reason="early_stopping",
        dataset=dataset,
        split=split,
        ensemble={"members": 3},
        optimizer={"name": "adam", "learning_rate": 0.1},
        lr_schedule={"name": "log_cosine"},
        early_stopping=rule,
    )
