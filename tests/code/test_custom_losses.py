"""The script of a job with a custom loss: it takes the operator's module from its entry point, as the workers do."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service, running, settings_for
from tests.code.interpreter import Interpreter, interpreter
from tests.code.trained import assert_same_curve, cells, check, files, named, train, upload, word
from tests.plugins import install


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Losses that are installed here."""
    with pytest.MonkeyPatch.context() as patch:
        folder = install(tmp_path_factory.mktemp("losses") / "site")
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def service(site: Path, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows them."""
    folder = tmp_path_factory.mktemp("code")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'trainyard.db')}"
    with running(settings_for(url, folder / "data")) as started:
        yield started


@pytest.fixture(scope="module")
def plugged(site: Path) -> Iterator[Interpreter]:
    """A Python that has them, too."""
    with interpreter(site) as started:
        yield started


@pytest.fixture(scope="module")
def dataset(service: Service) -> str:
    return upload(service, cells())


FOCAL: dict[str, Any] = {"loss": {"name": "custom:focal"}}
HUBER: dict[str, Any] = {"loss": {"name": "custom:huber"}, "target": "value"}
SQUARED: dict[str, Any] = {"loss": {"name": "custom:squared"}, "features": ["number", "city", "code"]}
WEIGHTED: dict[str, Any] = {"sample_weight": "weight", "preprocessing": {"target": "standard"}}
CASES: list[dict[str, Any]] = [
    FOCAL,
    {**FOCAL, "sample_weight": "weight", "class_weights": "balanced"},
    {**FOCAL, "target": "pair", "batch_size": "full"},
    *named("preprocessing", {"target": "none"}, {"target": "standard"}, **HUBER),
    {**HUBER, **WEIGHTED},
    {**SQUARED, "target": ["value", "count"], "task": "regression"},
    {**SQUARED, "target": ["value", "count"], "task": "regression", **WEIGHTED},
    {**SQUARED, "target": ["pair", "flag"]},
    {**SQUARED, "target": ["pair", "flag"], "sample_weight": "weight"},
    {**FOCAL, "ensemble": {"members": 3}, "epochs": 8},
    {**FOCAL, "target": "pair", "ensemble": {"members": 3}, "split": {"validation": 0.25}, "epochs": 8},
    {**HUBER, **WEIGHTED, "ensemble": {"members": 3}, "epochs": 8},
]


@pytest.mark.parametrize("case", CASES, ids=word)
def test_the_script_trains_by_the_operators_loss(
    service: Service, dataset: str, plugged: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, plugged, tmp_path, dataset=dataset, **case)


STOPPING: list[dict[str, Any]] = [
    {**FOCAL, "early_stopping": {"metric": "val_log_loss", "patience": 3, "min_delta": 0.03}},
    {**HUBER, **WEIGHTED, "early_stopping": {"metric": "val_rmse", "patience": 3, "min_delta": 0.3}},
    {
        **SQUARED,
        **WEIGHTED,
        "target": ["value", "count"],
        "task": "regression",
        "early_stopping": {"metric": "val_mae", "patience": 3, "min_delta": 0.3},
    },
]


@pytest.mark.parametrize("case", STOPPING, ids=word)
def test_metrics_of_a_custom_loss_stop_the_script(
    service: Service, dataset: str, plugged: Interpreter, tmp_path: Path, case: dict[str, Any]
) -> None:
    check(service, plugged, tmp_path, stop_reason="early_stopping", dataset=dataset, **case)


def test_in_float32_the_operators_loss_is_float32_too(
    service: Service, dataset: str, plugged: Interpreter, tmp_path: Path
) -> None:
    job = train(service, dataset=dataset, precision="fp32", **FOCAL)
    script, *data = files(service, job, tmp_path)

    assert_same_curve(service, job, plugged.run(script, *data), tolerance=1e-5, epochs=5)
