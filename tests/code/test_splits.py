"""The script of a job whose rows are split by what stands in a column, or are in datasets of their own."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service, assert_problem
from tests.code.interpreter import Interpreter
from tests.code.trained import SPEC, cells, check, upload, word

PARTS = ["train", " Train", "train", "VALIDATION ", "train", "test", "validation"]


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    """Parts in words, times with and without fractions of a second, groups of text and numbers with gaps."""
    return upload(
        service,
        [
            {
                **row,
                "part": PARTS[i % 7],
                "role": ["train", "test", "train"][i % 3],
                "sold": f"2024-02-{28 + i % 2}T12:{i * 17 % 46 // 2:02}:00{'.5' * (i % 3 == 0)}Z",
                "shop": ["A", "b", "Ä", "", 'c,"'][i * i % 11 % 5],
                "lot": "" if i % 9 == 4 else i * i % 13,
            }
            for i, row in enumerate(cells())
        ],
    )


SPLITS: list[dict[str, Any]] = [
    {"method": "column", "column": "part"},
    {"method": "time", "column": "sold", "validation": 0.3},
    {"method": "time", "column": "number", "validation": 0.2, "test": 0.2},
    {"method": "group", "column": "shop", "validation": 0.3},
    {"method": "group", "column": "lot", "validation": 0.2, "test": 0.1},
    {"method": "group", "column": "lot", "validation": 0.0, "test": 0.4},
    {"method": "group", "column": "shop", "validation": 0.0},
]


@pytest.mark.parametrize("split", SPLITS, ids=word)
def test_the_script_splits_as_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, split: dict[str, Any]
) -> None:
    check(service, python, tmp_path, dataset=dataset, split=split, class_weights="balanced")


@pytest.fixture(scope="module")
def others(service: Service) -> str:
    """Another dataset: columns in another order, gaps and levels that the first lacks, whole numbers where it has fractions."""
    changes = {"code": "", "label": "", "city": "Hof"}
    rows = [
        {**row, **(changes if i % 4 == 0 else {}), "number": i - 10, "lot": ["", 99, 4, 9][i % 4]}
        for i, row in enumerate(cells()[:20])
    ]
    return upload(service, [dict(reversed(row.items())) for row in rows])


OWN: list[dict[str, Any]] = [
    {},
    {"features": ["number", "code"]},
    {"features": ["code"], "columns": {"code": "categorical"}, "preprocessing": {"missing": "most_frequent"}},
    {"preprocessing": {"missing": "most_frequent"}, "columns": {"code": "categorical", "flag": "categorical"}},
    {"preprocessing": {"missing": "indicator"}, "sample_weight": "weight", "class_weights": "balanced"},
    {"split": {"test": 0.2}, "early_stopping": {"metric": "val_f1", "patience": 300}},
    {"target": "value", "task": "regression", "split": {"test": 0.2}},
    {"split": {"method": "column", "column": "role"}},
    {"split": {"method": "time", "column": "sold", "test": 0.2}},
    {"split": {"method": "group", "column": "lot", "test": 0.2}},
    {
        "features": ["lot", "number"],
        "columns": {"lot": "categorical"},
        "preprocessing": {"categorical": "embedding", "missing": "most_frequent"},
    },
    {"ensemble": {"members": 2}, "network": {"numeric_features": {"kind": "piecewise_linear", "bins": 4}}, "epochs": 8},
]


@pytest.mark.parametrize("case", OWN, ids=word)
def test_the_script_validates_by_the_second_dataset(
    service: Service, dataset: str, others: str, python: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, python, tmp_path, dataset=dataset, validation_dataset=others, **case)


def test_the_script_leaves_a_test_dataset_alone(
    service: Service, dataset: str, others: str, python: Interpreter, tmp_path: Path
) -> None:
    script = check(service, python, tmp_path, dataset=dataset, test_dataset=others)

    assert others not in script


def test_a_job_whose_validation_dataset_is_gone_has_no_script(service: Service, dataset: str) -> None:
    gone = upload(service, cells()[:9])
    job = service.post("/v1/jobs", {**SPEC, "dataset": dataset, "validation_dataset": gone}, status=201)["id"]
    service.post(f"/v1/jobs/{job}/cancel")
    service.client.delete(f"/v1/datasets/{gone}")

    problem = assert_problem(service.client.get(f"/v1/jobs/{job}/code"), 409, "conflict")

    assert gone in problem["detail"]
