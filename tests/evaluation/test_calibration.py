"""A calibrated job: what its checkpoints say of themselves, what they answer, and that its history is as without."""

import json
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from tests.evaluation.yard import Yard, frame, with_gaps

SPEC: dict[str, Any] = {
    "precision": "fp64",
    "epochs": 25,
    "optimizer": {"name": "adam", "learning_rate": 0.05},
    "checkpoints": {"every": 10, "keep": 2},
}
TARGETS: dict[str, dict[str, Any]] = {
    "classes": {"target": "level", "task": "multiclass", "loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    "one logit": {"target": "grade", "class_weights": "balanced", "sample_weight": "w"},
    "every part of a recipe": {
        "target": "level",
        "task": "multiclass",
        "preprocessing": {"numeric": "robust_clip", "missing": "median_indicator"},
        "network": {
            "hidden_layers": [5],
            "numeric_features": {"kind": "periodic", "frequencies": 4, "width": 2},
            "input_scaling": True,
            "parametrization": "ntk",
        },
    },
    "a loss of one's own": {"target": "level", "task": "multiclass", "loss": {"name": "custom:focal"}},
}


def history(yard: Yard, job: dict[str, Any]) -> dict[str, Any]:
    """All of it but its times."""
    answer = yard.service.get(f"/v1/jobs/{job['id']}/history")
    return {name: part for name, part in answer.items() if name not in ("job", "seconds")}


def files_of(yard: Yard, checkpoint: str) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """What model.json says, and the weights."""
    found = {}
    for name in ("model.json", "weights.safetensors"):
        answer = yard.service.client.get(f"/v1/checkpoints/{checkpoint}/files/{name}", follow_redirects=True)
        assert answer.status_code == 200, answer.text
        found[name] = answer.content
    return json.loads(found["model.json"]), load(found["weights.safetensors"])


@pytest.mark.parametrize("case", TARGETS)
def test_checkpoints_are_served_and_measured_as_calibrated_and_the_history_is_not(yard: Yard, case: str) -> None:
    rows, other = yard.upload(frame(90)), yard.upload(with_gaps(frame(60, seed=1)))
    spec = {**SPEC, **TARGETS[case], "dataset": rows, "validation_dataset": other, "split": {"test": 0.2}}
    plain, job = (yard.train(**spec, calibration=calibration) for calibration in ("none", "temperature"))

    assert history(yard, job) == history(yard, plain)
    bare = {one["epoch"]: one for one in yard.service.get(f"/v1/jobs/{plain['id']}/checkpoints")["data"]}
    stored = yard.service.get(f"/v1/jobs/{job['id']}/checkpoints")["data"]
    assert {kind for one in stored for kind in one["kinds"]} == {"best", "last", "periodic"}
    temperatures = set()
    for one in stored:
        manifest, weights = files_of(yard, one["id"])
        same, trained = files_of(yard, bare[one["epoch"]]["id"])
        temperatures.add(manifest["temperature"])
        assert same["temperature"] is None
        for name, values in weights.items():
            divisor = manifest["temperature"] if name.startswith("2.") else 1  # the last layer
            np.testing.assert_allclose(values, trained[name] / divisor, rtol=1e-12)
        found = yard.evaluate(job["id"], other, checkpoint=one["id"])
        assert manifest["metrics"] == one["metrics"]
        assert found["metrics"] == pytest.approx({name.removeprefix("val_"): v for name, v in one["metrics"].items()}, rel=1e-5)
    assert len(temperatures) > 1
    assert job["best"]["val_loss"] == plain["best"]["val_loss"]
    assert job["best"]["metrics"]["val_log_loss"] <= plain["best"]["metrics"]["val_log_loss"]
    assert job["latest"]["metrics"]["val_log_loss"] == plain["latest"]["metrics"]["val_log_loss"]
    best = next(one["id"] for one in stored if "best" in one["kinds"])
    moved = files_of(yard, best)[0]["temperature"] != pytest.approx(1.0)
    assert (job["test"]["metrics"]["log_loss"] != plain["test"]["metrics"]["log_loss"]) == moved
