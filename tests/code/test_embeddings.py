"""The script of a job with embedded columns: plain nn.Embedding tables, with the engine's first vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.service import Service
from tests.code.interpreter import Interpreter
from tests.code.trained import assert_same_curve, cells, check, files, train, upload, word

EMBEDDED: dict[str, Any] = {"features": ["town", "number", "city", "gap", "grade"], "columns": {"grade": "categorical"}}


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    """With gaps in a column of text and in one of numbers, both of enough levels to be embedded."""
    draw = np.random.default_rng(3)
    towns = ["Ulm", 'Köln, "am Rhein"', "Bonn", "Aalen", "Jena", "Hof", "", ""]
    return upload(
        service,
        [
            {**row, "town": towns[int(draw.integers(8))], "grade": "" if draw.integers(5) == 0 else int(draw.integers(5))}
            for row in cells()
        ],
    )


CASES: list[dict[str, Any]] = [
    {"missing": "mean"},
    {"missing": "most_frequent"},
    {"missing": "indicator", "numeric": "robust"},
]


@pytest.mark.parametrize("preprocessing", CASES, ids=word)
def test_the_script_embeds_as_the_job_did(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, preprocessing: dict[str, Any]
) -> None:
    script = check(
        service,
        python,
        tmp_path,
        dataset=dataset,
        **EMBEDDED,
        preprocessing={"categorical": "embedding", **preprocessing},
        optimizer={"name": "adam", "weight_decay": 0.01},
    )

    assert "Embedded(nn.Embedding(7, 4, padding_idx=0), nn.Embedding(6, 4, padding_idx=0))" in script


@pytest.mark.parametrize(
    "changes",
    [
        {"features": ["town"], "network": {"hidden_layers": []}},
        {"network": {"hidden_layers": [6, 5], "normalization": "batch", "dropout": 0.3}, "gradient_clip_norm": 0.05},
        {"batch_size": "full", "early_stopping": {"patience": 300}},
    ],
    ids=word,
)
def test_an_embedding_goes_with_all_else(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path, changes: dict[str, Any]
) -> None:
    check(service, python, tmp_path, dataset=dataset, preprocessing={"categorical": "embedding"}, **(EMBEDDED | changes))


def test_in_float32_the_script_embeds_the_same_vectors(
    service: Service, dataset: str, python: Interpreter, tmp_path: Path
) -> None:
    job = train(service, dataset=dataset, precision="fp32", preprocessing={"categorical": "embedding"}, **EMBEDDED)
    script, *data = files(service, job, tmp_path)

    assert_same_curve(service, job, python.run(script, *data), tolerance=1e-5, epochs=5)
