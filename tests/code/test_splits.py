"""The script of a job whose rows are split by what stands in a column."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.trained import cells, check, upload, word

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
