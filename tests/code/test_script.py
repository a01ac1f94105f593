"""The script of a job is run in a Python of its own and prints the losses that the job's history has."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.settings import Settings
from app.storage.folder import Folder
from tests.api.service import Service, assert_problem
from tests.code.interpreter import Interpreter
from worker.pulse import Periods
from worker.trainer import Trainer

ROWS = 46
SPEC: dict[str, Any] = {
    "target": "label",
    "features": ["number", "gap", "city", "flag", "same", "code"],
    "network": {"hidden_layers": [5, 4], "activation": "tanh"},
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "batch_size": 8,
    "epochs": 24,
    "precision": "fp64",
    "seed": 7,
}


def cells() -> list[dict[str, object]]:
    """Numbers, gaps, text that CSV must quote, flags, a constant, integers as categories, targets of every task."""
    draw = np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    for i in range(ROWS):
        number = float(draw.normal())
        rows.append(
            {
                "number": number,
                "gap": "" if i % 7 == 0 else round(float(draw.normal()), 1),
                "city": ["Ulm", 'Köln, "am Rhein"', "Bonn", ""][int(draw.integers(4))],
                "flag": ["true", "false", "true", ""][int(draw.integers(4))],
                "same": 0.1,
                "code": int(draw.integers(9, 12)),
                "level": float(draw.integers(9, 12)),
                "weight": 0.0 if i % 9 == 0 else float(draw.uniform(0.2, 2.0)),
                "label": ["no", "maybe", "yes", "yes"][int(draw.integers(4))],
                "pair": bool(draw.integers(2)),
                "value": "" if i % 11 == 0 else 3 * number + float(draw.normal()),
                "count": int(draw.poisson(2.0)),
            }
        )
    return rows


NUMBER: dict[str, Any] = {"target": "value", "task": "regression"}
COUNT: dict[str, Any] = {"target": "count", "task": "regression"}
WEIGHTS: dict[str, Any] = {"class_weights": {"yes": 0.5, "no": 2.0}, "sample_weight": "weight"}
PLATEAU: dict[str, Any] = {"name": "plateau", "factor": 0.5, "patience": 1, "threshold": 0.05}
WATCHED = ["accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc", "brier"]


def named(block: str, *values: dict[str, Any], **others: Any) -> list[dict[str, Any]]:
    return [{block: value, **others} for value in values]


CASES: list[dict[str, Any]] = [
    {"batch_size": "full"},
    {"batch_size": "full", "network": {"hidden_layers": [5, 4], "dropout": 0.3}},
    *named("loss", {"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "focal"}, {"name": "focal", "gamma": 0.5}),
    *named("loss", {"name": "cross_entropy"}, {"name": "focal", "gamma": 1.5}, **WEIGHTS),
    {"class_weights": "balanced", "batch_size": "full"},
    {"class_weights": "balanced", "split": {"stratify": False}},
    *named("loss", {"name": "bce"}, {"name": "cross_entropy"}, {"name": "focal"}, target="pair"),
    {"target": "pair", "sample_weight": "weight", "class_weights": "balanced"},
    {"target": "code", "features": ["number", "gap"], "task": "multiclass"},
    *named("loss", {"name": "mse"}, {"name": "l1"}, {"name": "huber", "delta": 0.8}, {"name": "quantile", "q": 0.8}, **NUMBER),
    *named("loss", {"name": "mse"}, {"name": "quantile", "q": 0.3}, **NUMBER, sample_weight="weight"),
    *named("loss", {"name": "poisson"}, {"name": "huber"}, **COUNT, preprocessing={"target": "none"}),
    *named(
        "optimizer",
        {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"name": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
        {"name": "adam", "weight_decay": 0.01, "betas": [0.8, 0.95]},
        {"name": "adamw", "weight_decay": 0.1},
        {"name": "nadam", "momentum_decay": 0.01},
        {"name": "radam", "eps": 1e-6},
        {"name": "rmsprop", "learning_rate": 0.002, "momentum": 0.9, "centered": True, "alpha": 0.9},
        {"name": "adagrad", "learning_rate": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1},
    ),
    *({"network": {"hidden_layers": [4], "activation": name}} for name in ("relu", "leaky_relu", "elu", "selu", "gelu")),
    *({"network": {"hidden_layers": [4], "activation": name}} for name in ("silu", "mish", "sigmoid", "identity")),
    *({"network": {"hidden_layers": [4], "initialization": name}} for name in ("xavier_uniform", "xavier_normal")),
    *({"network": {"hidden_layers": [4], "initialization": f"kaiming_{name}"}} for name in ("uniform", "normal")),
    {"network": {"hidden_layers": [4], "initialization": "orthogonal"}},
    {"network": {"hidden_layers": []}},
    {"network": {"hidden_layers": [70, 6, 5], "dropout": [0.2, 0.0, 0.5]}},
    {"network": {"hidden_layers": [6], "normalization": "layer"}},
    {"network": {"hidden_layers": [6], "normalization": "batch", "dropout": 0.2}},
    {"network": {"hidden_layers": [6], "normalization": "batch"}, "batch_size": 9},
    *named(
        "lr_schedule",
        {"name": "constant", "warmup_epochs": 5},
        {"name": "step", "step_size": 4, "gamma": 0.5},
        {"name": "exponential", "gamma": 0.9, "warmup_epochs": 5},
        {"name": "cosine", "eta_min": 0.001},
        {"name": "cosine", "warmup_epochs": 30},
        {"name": "one_cycle"},
        {"name": "one_cycle", "warmup_epochs": 5, "div_factor": 4.0},
        PLATEAU,
        {**PLATEAU, "warmup_epochs": 5},
    ),
    {"lr_schedule": PLATEAU, "split": {"validation": 0.0}},
    {"gradient_clip_norm": 0.05},
    {"record_every": 7},
    *({"preprocessing": {"numeric": name, "missing": "median"}} for name in ("minmax", "robust", "quantile", "none")),
    *({"preprocessing": {"missing": name}} for name in ("mean", "most_frequent", "indicator")),
    {"preprocessing": {"missing": "error", "numeric": "none"}, "features": ["number", "same", "code"]},
    {"columns": {"code": "categorical", "flag": "categorical"}, "preprocessing": {"missing": "most_frequent"}},
    {"columns": {"code": "categorical", "level": "categorical"}, "features": ["code", "level"]},
    {"target": "level", "features": ["number"], "task": "multiclass", "class_weights": {"9": 2.0}},
    *named("split", {"validation": 0.0}, {"validation": 0.3, "test": 0.2}, {"stratify": False, "test": 0.1}),
    {"split": {"validation": 0.25, "test": 0.2}, **NUMBER},
    {"seed": 2**63 - 1, "batch_size": "auto", "max_seconds": 900},
]

STOPPING: list[dict[str, Any]] = [
    {"record_every": 7, "optimizer": {"name": "sgd", "learning_rate": 0.5}, "early_stopping": {"patience": 3}},
    {"optimizer": {"name": "sgd", "learning_rate": 0.3}, "early_stopping": {"patience": 2, "min_delta": 0.01}},
    *({"early_stopping": {"metric": f"val_{name}", "patience": 3, "min_delta": 0.03}} for name in WATCHED),
    *({"early_stopping": {"metric": f"val_{name}", "patience": 3, "min_delta": 0.03}, "target": "pair"} for name in WATCHED),
    *(
        {"early_stopping": {"metric": f"val_{name}", "patience": 3, "min_delta": 0.03}, "sample_weight": "weight"}
        for name in WATCHED
    ),
    *(
        {"early_stopping": {"metric": f"val_{name}", "patience": 3, "min_delta": 0.03}, **NUMBER}
        for name in ("rmse", "mae", "r2")
    ),
    {"early_stopping": {"metric": "val_rmse", "patience": 3, "min_delta": 0.03}, "loss": {"name": "poisson"}, **COUNT},
]


def word(case: dict[str, Any]) -> str:
    return ",".join(f"{name}={word(value) if isinstance(value, dict) else value}" for name, value in case.items())


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(cells()[0]))
    writer.writeheader()
    writer.writerows(cells())
    id: str = service.upload(text.getvalue().replace("True", "true").replace("False", "false").encode())["id"]
    return id


def train(service: Service, **spec: object) -> str:
    """A job that was trained to its end: its id."""
    id: str = service.post("/v1/jobs", {**SPEC, **spec}, status=201)["id"]
    settings: Settings = service.settings
    trainer = Trainer(
        database=service.database,
        storage=Folder(Path(settings.resolved_storage_url)),
        name="test:1",
        device="cpu",
        threads=1,
        periods=Periods(lease=30, heartbeat=5, stall=60, checkpoint=30, report=0.25),
        stopping=lambda: False,
    )
    trainer.work_off(hint=id)
    assert service.get(f"/v1/jobs/{id}")["status"] == "succeeded"
    return id


def files(service: Service, job: str, folder: Path) -> tuple[Path, Path]:
    """The job's script and its dataset, as the API answers them."""
    script, data = folder / "job.py", folder / "data.csv"
    answer = service.client.get(f"/v1/jobs/{job}/code")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/x-python; charset=utf-8"), answer.text
    script.write_bytes(answer.content)
    dataset = service.get(f"/v1/jobs/{job}")["spec"]["dataset"]
    data.write_bytes(service.client.get(f"/v1/datasets/{dataset}/content", headers={"Accept": "text/csv"}).content)
    return script, data


def assert_same_curve(service: Service, job: str, printed: str, *, tolerance: float, epochs: int | None = None) -> None:
    """The printed lines, the first `epochs` of them, are the history's."""
    history, lines = service.get(f"/v1/jobs/{job}/history", limit=10_000), list(csv.DictReader(io.StringIO(printed)))
    assert [int(line["epoch"]) for line in lines] == history["epoch"]
    for name in ("train_loss", "val_loss"):
        found = [float(line[name] or "nan") for line in lines]
        stored = [math.nan if loss is None else loss for loss in history[name]]
        np.testing.assert_allclose(found[:epochs], stored[:epochs], rtol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_prints_the_stored_losses(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    job = train(service, dataset=dataset, **case)
    script, data = files(service, job, tmp_path)

    assert_same_curve(service, job, python.run(script, data), tolerance=1e-9)


@pytest.mark.parametrize("case", STOPPING, ids=word)
def test_the_script_stops_where_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    job = train(service, dataset=dataset, **case)
    script, data = files(service, job, tmp_path)

    assert service.get(f"/v1/jobs/{job}")["stop_reason"] == "early_stopping"
    assert_same_curve(service, job, python.run(script, data), tolerance=1e-9)


def test_in_float32_the_script_begins_as_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path
) -> None:
    job = train(service, dataset=dataset, precision="fp32", network={"hidden_layers": [5], "dropout": 0.2})
    script, data = files(service, job, tmp_path)

    assert_same_curve(service, job, python.run(script, data), tolerance=1e-5, epochs=5)


def test_names_and_labels_are_text_in_the_script_whatever_they_hold(
    service: Service, python: Interpreter, tmp_path: Path
) -> None:
    name, label = 'a"""\nraise SystemExit(1)  # \\', "'; raise SystemExit(1)\n"
    columns = {name: [0.5, 1.5, 2.5] * 4, "{x}": ["\u202ea", 'b"', "c'"] * 4, "y": [label, "{1}", '"'] * 4}
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    job = train(service, dataset=dataset, target="y", features=[name, "{x}"])
    script, data = files(service, job, tmp_path)

    assert script.read_text().isascii()
    assert_same_curve(service, job, python.run(script, data), tolerance=1e-9)


def test_the_script_of_a_textbook_job_is_short(service: Service) -> None:
    dataset = service.post("/v1/datasets", {"sample": "iris"}, status=201)["id"]
    spec = {"dataset": dataset, "target": "species", "batch_size": "full", "network": {"hidden_layers": [10]}}
    job = service.post("/v1/jobs", spec, status=201)["id"]

    lines = service.client.get(f"/v1/jobs/{job}/code").text.splitlines()

    assert len([line for line in lines if line]) < 65
    assert "net = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3)).double()" in lines


def test_what_a_script_cannot_say_is_refused_by_name(service: Service) -> None:
    columns = {"empty": ["", "a", "b"] * 4, "gap": [None] * 11 + [1.5], "y": ["x", "y", "z"] * 4}
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    job = service.post("/v1/jobs", {"dataset": dataset, "target": "y"}, status=201)["id"]

    problem = assert_problem(service.client.get(f"/v1/jobs/{job}/code"), 422, "not_supported")

    assert [fault["pointer"] for fault in problem["errors"]] == ["/features/0", "/features/1"]
    assert "empty text" in problem["detail"]


def test_a_job_whose_dataset_is_gone_has_no_script(service: Service) -> None:
    dataset = service.post("/v1/datasets", {"sample": "iris"}, status=201)["id"]
    job = service.post("/v1/jobs", {"dataset": dataset, "target": "species"}, status=201)["id"]
    service.post(f"/v1/jobs/{job}/cancel")
    service.client.delete(f"/v1/datasets/{dataset}")

    assert_problem(service.client.get(f"/v1/jobs/{job}/code"), 409, "conflict")
    assert_problem(service.client.get("/v1/jobs/job_none/code"), 404, "not_found")
