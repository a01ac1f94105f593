"""The script of a job with what stands before the first layer, other first weights, the NTK parametrization and groups."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.trained import assert_same_curve, cells, check, files, named, train, upload, word

WAVES: dict[str, Any] = {"kind": "periodic", "frequencies": 4, "sigma": 0.3, "width": 2}
BINS: dict[str, Any] = {"kind": "piecewise_linear", "bins": 5, "width": 3}
ADAMW: dict[str, Any] = {"name": "adamw", "learning_rate": 0.02, "weight_decay": 0.1}
SGD: dict[str, Any] = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.01}
GROUPS: dict[str, Any] = {
    "bias": {"learning_rate_factor": 0.1, "weight_decay_factor": 0.0},
    "input_scaling": {"learning_rate_factor": 6.0, "weight_decay_factor": 0.5},
    "numeric_features": {"learning_rate_factor": 0.3},
}
ALL: dict[str, Any] = {
    "hidden_layers": [6, 5],
    "activation": "silu",
    "dropout": 0.2,
    "numeric_features": WAVES,
    "input_scaling": True,
    "parametrization": "ntk",
    "initialization": "data_driven",
}
NUMBERS: dict[str, Any] = {"features": ["number", "count"]}
EMBEDDED: dict[str, Any] = {
    "features": ["town", "number", "gap", "city"],
    "preprocessing": {"categorical": "embedding", "missing": "indicator"},
}


def networks(*blocks: dict[str, Any], **others: Any) -> list[dict[str, Any]]:
    return named("network", *({"hidden_layers": [5, 4], "activation": "tanh"} | block for block in blocks), **others)


CASES: list[dict[str, Any]] = [
    *networks(
        *({"numeric_features": kind} for kind in (WAVES, BINS)),
        {"input_scaling": True},
        *({"parametrization": "ntk", "initialization": name} for name in ("default", "orthogonal")),
        *({"initialization": "data_driven", "normalization": name} for name in ("none", "batch", "layer")),
        {"initialization": "data_driven", "hidden_layers": []},
        {"input_scaling": True, "numeric_features": BINS},
        optimizer=ADAMW,
    ),
    *networks({"numeric_features": WAVES}, {"numeric_features": BINS}, **NUMBERS),
    *networks({"numeric_features": BINS}, preprocessing={"numeric": "minmax", "missing": "median_indicator"}),
    *networks({"numeric_features": WAVES}, {"numeric_features": BINS, "input_scaling": True}, **EMBEDDED),
    *networks({}, {"normalization": "batch", "dropout": 0.2}, parameter_groups=GROUPS, optimizer=SGD),
    {"parameter_groups": {"bias": {"weight_decay_factor": 3.0}}, "optimizer": ADAMW},
    {"network": ALL, "parameter_groups": GROUPS, "optimizer": SGD, "gradient_clip_norm": 0.05},
    {"network": ALL | {"numeric_features": BINS}, "parameter_groups": GROUPS, "optimizer": ADAMW, "batch_size": "full"},
    {"network": ALL | {"normalization": "layer"}, "parameter_groups": GROUPS, "optimizer": ADAMW, **EMBEDDED},
    {"network": ALL, "optimizer": ADAMW, "regularization_schedule": "flat_cosine", "parameter_groups": GROUPS},
]
SCHEDULES: list[dict[str, Any]] = [
    {"name": "constant", "warmup_epochs": 5},
    {"name": "exponential", "gamma": 0.9},
    {"name": "cosine", "eta_min": 0.001, "warmup_epochs": 5},
    {"name": "one_cycle"},
    {"name": "one_cycle", "warmup_epochs": 5},
    {"name": "log_cosine", "warmup_epochs": 5},
    {"name": "plateau", "factor": 0.5, "patience": 1, "threshold": 0.05, "min_lr": 0.001},
]


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    towns = ["Ulm", "Bonn", "Aalen", "Jena", "Hof", ""]
    return upload(service, [{**row, "town": towns[i * i % 6 if i % 4 else i % 6]} for i, row in enumerate(cells())])


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_trains_the_network_as_it_is_trained(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, dataset=dataset, **case)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=word)
def test_each_group_follows_the_schedule_at_its_own_rate(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, schedule: dict[str, Any]
) -> None:
    network = {"hidden_layers": [5], "input_scaling": True}
    check(service, python, tmp_path, dataset=dataset, network=network, parameter_groups=GROUPS, lr_schedule=schedule)


def test_bins_come_from_the_training_rows_that_have_a_number(service: Service, python: Interpreter, tmp_path: Path) -> None:
    rows = range(24)
    columns = {
        "part": ["validation" if i % 4 == 0 else "train" for i in rows],
        "void": [float(i) if i % 4 == 0 else None for i in rows],
        "same": [0.5] * 24,
        "gap": [None if i % 3 == 0 else float(i * i % 7) for i in rows],
        "y": [i * i % 7 / 2 for i in rows],
    }
    dataset = service.post("/v1/datasets", {"columns": columns}, status=201)["id"]
    split = {"method": "column", "column": "part"}

    for case in networks({"numeric_features": BINS}, {"numeric_features": WAVES}):
        check(service, python, tmp_path, dataset=dataset, target="y", features=["void", "same", "gap"], split=split, **case)


def test_in_float32_the_script_has_the_same_features(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path
) -> None:
    job = train(service, dataset=dataset, precision="fp32", network=ALL | {"numeric_features": BINS})
    script, *data = files(service, job, tmp_path)

    assert_same_curve(service, job, python.run(script, *data), tolerance=1e-5, epochs=5)
