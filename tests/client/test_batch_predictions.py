"""Batch predictions from Python and from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.servers.service import Service
from trainyard import Client, TrainyardProblem
from trainyard.suffixes import Unfit


@pytest.fixture(scope="module")
def trained(service: Service) -> tuple[str, str]:
    """The ids of a job that is over and of its dataset."""
    with service.client() as client:
        dataset = client.sample("iris")["id"]
        job = client.submit({"dataset": dataset, "target": "species", "epochs": 3})["id"]
        client.wait(job, timeout=60)
    return job, dataset


def trainyard(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, "-m", "trainyard", *words], {**os.environ, "TRAINYARD_URL": service.url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_dataset_is_predicted_and_downloaded(client: Client, trained: tuple[str, str], tmp_path: Path) -> None:
    job, dataset = trained
    batches = client.batch_predictions
    asked = batches.create(dataset, job=job, checkpoint="last", name="by hand")

    ended = batches.wait(asked["id"], timeout=60)
    found = pl.read_parquet(batches.download(asked["id"], tmp_path / "out.parquet"))

    assert (ended["status"], ended["name"], ended["progress"]["predicted"], found.height) == ("succeeded", "by hand", 150, 150)
    with pytest.raises(Unfit, match=r"format parquet: out\.CSV should end in \.parquet"):
        batches.download(asked["id"], str(tmp_path / "out.CSV"))
    assert next(batches.list(limit=1))["id"] == asked["id"]
    assert list(batches.warnings(asked["id"])) == []
    assert batches.cancel(asked["id"]) == ended
    batches.delete(asked["id"])
    with pytest.raises(TrainyardProblem, match="no batch prediction"):
        batches.get(asked["id"])


def test_the_same_by_commands(service: Service, trained: tuple[str, str], tmp_path: Path) -> None:
    job, dataset = trained
    file = tmp_path / "out.csv"

    id = trainyard(service, "batch", "submit", dataset, "--job", job, "--format", "csv").stdout.strip()
    done = trainyard(service, "batch", "download", id, str(file))

    other = tmp_path / "out.parquet"
    refused = trainyard(service, "batch", "download", id, str(other))

    assert (done.returncode, done.stdout) == (0, "succeeded: 150 rows, 0 warnings\n")
    told = "The batch prediction was made with the format csv: out.parquet should end in .csv.\n"
    assert (refused.returncode, refused.stderr, other.exists()) == (1, told, False)
    assert pl.read_csv(file).columns[0] == "prediction"
    assert id in trainyard(service, "batch", "list").stdout
    assert f'"{id}"' in trainyard(service, "batch", "show", id).stdout
    assert trainyard(service, "batch", "cancel", id).stdout == "succeeded\n"
