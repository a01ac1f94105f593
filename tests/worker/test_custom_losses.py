"""Losses that are installed on the worker alone: the API learns their names, and a bad one is its own job's end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.plugins import install
from tests.servers.cluster import Cluster, cluster
from tests.servers.plain import NOBODY
from tests.servers.processes import free_port, wait_until
from tests.servers.service import PERIODS
from trainyard import Client, TrainyardProblem

SPEC = {"target": "species", "network": {"hidden_layers": [8]}, "epochs": 200, "batch_size": 16, "pack": False}


@pytest.fixture
def plugged(sqlite_url: str, valkey_url: str, tmp_path: Path) -> Iterator[Cluster]:
    """An API, and a worker with an operator's losses."""
    environment = {
        **PERIODS,
        "TRAINYARD_DATA": str(tmp_path / "data"),
        "TRAINYARD_DATABASE_URL": sqlite_url,
        "TRAINYARD_REDIS_URL": valkey_url,
        "TRAINYARD_PORT": str(free_port()),
        "TRAINYARD_SLOTS": "1",
    }
    with cluster(environment, tmp_path) as started:
        started.start("api", ["trainyard", "api"])
        started.start("worker", ["trainyard", "worker"], PYTHONPATH=str(install(tmp_path / "site")))
        started.wait_until_healthy("api", ["trainyard", "api", "--check"])
        yield started


def workers_of(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx2.get(f"{url}/v1/system", verify=NOBODY).json()["workers"]
    return found


def test_a_worker_brings_its_losses_along(plugged: Cluster) -> None:
    url = f"http://127.0.0.1:{plugged.environment['TRAINYARD_PORT']}"
    wait_until(lambda: bool(workers_of(url)), seconds=60, what="the worker to be warm")
    with Client(url) as client:
        dataset = client.sample("iris")["id"]
        spec = {**SPEC, "dataset": dataset}

        bad = client.submit({**spec, "loss": {"name": "custom:broken"}})["id"]
        good = client.submit({**spec, "loss": {"name": "custom:focal"}})["id"]
        with pytest.raises(TrainyardProblem) as refused:
            client.submit({**spec, "loss": {"name": "custom:none_such"}})

        failed, ended = client.wait(bad, timeout=60), client.wait(good, timeout=60)
        prediction = client.predict(good, [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}])

    assert failed["error"] is not None
    assert (failed["stop_reason"], ended["status"]) == ("invalid_loss", "succeeded")
    assert "custom:broken failed: ArithmeticError" in failed["error"]["message"]
    [worker] = workers_of(url)
    assert worker["custom_losses"] == ["broken", "focal", "huber", "squared", "strict", "trained", "unmade"]
    assert [fault.place for fault in refused.value.faults] == ["/loss/name"]
    assert "custom:focal" in refused.value.faults[0].detail
    assert "setosa" in str(prediction)
