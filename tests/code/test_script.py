"""The script of a job is run in a Python of its own and prints the losses that the job's history has."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service, assert_problem
from tests.code.interpreter import Interpreter
from tests.code.trained import assert_same_curve, cells, check, files, named, train, upload, word

NUMBER: dict[str, Any] = {"target": "value", "task": "regression"}
COUNT: dict[str, Any] = {"target": "count", "task": "regression"}
WEIGHTS: dict[str, Any] = {"class_weights": {"yes": 0.5, "no": 2.0}, "sample_weight": "weight"}
PLATEAU: dict[str, Any] = {"name": "plateau", "factor": 0.5, "patience": 1, "threshold": 0.05}
WATCHED = ["accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc", "brier"]

CASES: list[dict[str, Any]] = [
    {"batch_size": "full"},
    {"batch_size": "full", "network": {"hidden_layers": [5, 4], "dropout": 0.3}},
    {"batch_size": 21, "network": {"hidden_layers": [5, 4], "dropout": 0.3}},
    *named("loss", {"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "focal"}, {"name": "focal", "gamma": 0.5}),
    *named("loss", {"name": "cross_entropy"}, {"name": "focal", "gamma": 1.5}, **WEIGHTS),
    {"class_weights": "balanced", "batch_size": "full"},
    {"class_weights": "balanced", "split": {"stratify": False}},
    *named("loss", {"name": "bce"}, {"name": "cross_entropy"}, {"name": "focal"}, target="pair"),
    {"target": "pair", "sample_weight": "weight", "class_weights": "balanced"},
    {"target": "code", "features": ["number", "gap"], "task": "multiclass"},
    *named("loss", {"name": "mse"}, {"name": "l1"}, {"name": "huber", "delta": 0.8}, {"name": "quantile", "q": 0.8}, **NUMBER),
    *named("loss", {"name": "mse"}, {"name": "quantile", "q": 0.3}, **NUMBER, sample_weight="weight"),
    {"target": "pair", "columns": {"pair": "numeric"}, "features": ["number"]},
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
        {"name": "log_cosine"},
        {"name": "log_cosine", "cycles": 2, "warmup_epochs": 5},
        PLATEAU,
        {**PLATEAU, "warmup_epochs": 5},
    ),
    {"lr_schedule": PLATEAU, "split": {"validation": 0.0}},
    {"lr_schedule": {"name": "log_cosine"}, "batch_size": "full"},
    {"lr_schedule": {"name": "one_cycle", "pct_start": 0.125}, "batch_size": "full", "epochs": 8},
    *named(
        "optimizer",
        {"name": "sgd", "learning_rate": 0.05, "weight_decay": 0.05},
        {"name": "adamw", "weight_decay": 0.1},
        {"name": "adam"},
        regularization_schedule="flat_cosine",
        network={"hidden_layers": [5, 4], "dropout": [0.3, 0.0]},
    ),
    *(
        {"regularization_schedule": "flat_cosine", "optimizer": {"name": "adamw", "weight_decay": 0.3}, "batch_size": size}
        for size in (8, "full")
    ),
    {"gradient_clip_norm": 0.05},
    {"record_every": 7},
    {"calibration": "temperature"},
    *({"preprocessing": {"numeric": name, "missing": "median"}} for name in ("minmax", "robust", "quantile", "none")),
    *({"preprocessing": {"missing": name}} for name in ("mean", "most_frequent", "indicator")),
    *(
        {
            "columns": {"flag": "categorical"},
            "preprocessing": {"numeric": "robust_clip", "categorical": "one_hot_signed", "missing": name},
        }
        for name in ("median_indicator", "most_frequent")
    ),
    {"columns": {"pair": "categorical"}, "features": ["pair", "same"], "preprocessing": {"categorical": "one_hot_signed"}},
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
    *(
        {
            "optimizer": {"name": "adam", "learning_rate": 0.1},
            "lr_schedule": {"name": "log_cosine", "cycles": 5},
            "early_stopping": {"metric": metric, "patience": "cycle", "min_delta": 0.02},
        }
        for metric in ("val_loss", "val_accuracy")
    ),
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
    {
        "early_stopping": {"metric": "val_mae", "patience": 3, "min_delta": 0.03},
        "clip_predictions": True,
        "optimizer": {"name": "sgd", "learning_rate": 0.3},
        **NUMBER,
    },
    {"early_stopping": {"metric": "val_rmse", "patience": 3, "min_delta": 0.03}, "loss": {"name": "poisson"}, **COUNT},
]


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return upload(service, cells())


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_prints_the_stored_losses(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, dataset=dataset, **case)


@pytest.mark.parametrize("case", STOPPING, ids=word)
def test_the_script_stops_where_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, stop_reason="early_stopping", dataset=dataset, **case)


def test_in_float32_the_script_begins_as_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path
) -> None:
    job = train(service, dataset=dataset, precision="fp32", network={"hidden_layers": [5], "dropout": 0.2})
    script, *data = files(service, job, tmp_path)

    assert_same_curve(service, job, python.run(script, *data), tolerance=1e-5, epochs=5)


def test_names_and_labels_are_text_in_the_script_whatever_they_hold(
    service: Service, python: Interpreter, tmp_path: Path
) -> None:
    name, label = 'a"""\nraise SystemExit(1)  # \\', "'; raise SystemExit(1)\n"
    columns = {name: [0.5, 1.5, 2.5] * 4, "{x}": ["\u202ea", 'b"', "c'"] * 4, "y": [label, "{1}", '"'] * 4}
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    job = train(service, dataset=dataset, target="y", features=[name, "{x}"])
    script, *data = files(service, job, tmp_path)

    assert script.read_text().isascii()
    assert_same_curve(service, job, python.run(script, *data), tolerance=1e-9)


def test_the_script_of_a_textbook_job_is_short(service: Service) -> None:
    dataset = service.post("/v1/datasets", {"sample": "iris"}, status=201)["id"]
    spec = {"dataset": dataset, "target": "species", "batch_size": "full", "network": {"hidden_layers": [10]}}
    job = service.post("/v1/jobs", spec, status=201)["id"]

    lines = service.client.get(f"/v1/jobs/{job}/code").text.splitlines()

    assert len([line for line in lines if line]) < 65
    assert "net = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3)).double()" in lines


def test_the_empty_text_is_a_level_and_a_label_where_nothing_is_missing(
    service: Service, python: Interpreter, tmp_path: Path
) -> None:
    columns = {"size": [0.5, 1.5, 2.5, None] * 5, "city": ["", "a", "b", "b"] * 5, "y": ["", "x", "y", "y"] * 5}
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]

    check(service, python, tmp_path, dataset=dataset, target="y", features=["size", "city"])


@pytest.mark.parametrize("missing", ["mean", "most_frequent"])
def test_a_feature_that_only_other_rows_have_is_zero(
    service: Service, python: Interpreter, tmp_path: Path, missing: str
) -> None:
    rows = range(20)
    columns = {
        "part": ["validation" if i % 4 == 0 else "train" for i in rows],
        "gap": [i if i % 4 == 0 else None for i in rows],
        "town": [f"t{i % 8}" if i % 4 == 0 else None for i in rows],
        "grade": [i % 5 for i in rows],
        "y": [i * i % 7 / 2 for i in rows],
    }
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    spec: dict[str, Any] = {
        "features": ["gap", "town", "grade"],
        "split": {"method": "column", "column": "part"},
        "target": "y",
    }

    check(service, python, tmp_path, dataset=dataset, preprocessing={"missing": missing}, **spec)


def test_what_csv_cannot_tell_apart_is_refused_by_name(service: Service) -> None:
    columns = {"size": [1.5, 0.5, 1.0] * 4, "empty": ["", "a", None] * 4, "y": ["x", "", "z"] * 3 + ["x", None, ""]}
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    job = service.post("/v1/jobs", {"dataset": dataset, "target": "y"}, status=201)["id"]

    problem = assert_problem(service.client.get(f"/v1/jobs/{job}/code"), 422, "not_supported")

    assert [fault["pointer"] for fault in problem["errors"]] == ["/target", "/features/1"]
    assert "empty text" in problem["detail"]


def test_a_job_whose_dataset_is_gone_has_no_script(service: Service) -> None:
    dataset = service.post("/v1/datasets", {"sample": "iris"}, status=201)["id"]
    job = service.post("/v1/jobs", {"dataset": dataset, "target": "species"}, status=201)["id"]
    service.post(f"/v1/jobs/{job}/cancel")
    service.client.delete(f"/v1/datasets/{dataset}")

    assert_problem(service.client.get(f"/v1/jobs/{job}/code"), 409, "conflict")
    assert_problem(service.client.get("/v1/jobs/job_none/code"), 404, "not_found")
