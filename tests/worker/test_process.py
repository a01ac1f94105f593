"""A real worker process, killed while it trains: nothing is lost, nothing is doubled, the bits are the same."""

import os
import signal
from pathlib import Path

from app.persistence.database import Database
from app.persistence.workers import every
from app.upkeep.stale import marked
from tests.servers.processes import wait_until
from tests.servers.service import Service
from trainyard import Client
from trainyard.answers import History

SPEC = {
    "target": "species",
    "network": {"hidden_layers": [8], "dropout": 0.1},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "batch_size": 16,
    "epochs": 4000,
}


def training_process(service: Service, job: str) -> int | None:
    """The process that trains the job."""
    database = Database(f"sqlite:///{service.folder / 'trainyard.db'}")
    with database.read() as connection:
        busy = [int(row.id.rpartition(":")[2]) for row in every(connection) if row.job_id == job]
    database.close()
    return busy[0] if busy else None


def without_seconds(history: History) -> list[object]:
    return [history["epoch"], history["train_loss"], history["val_loss"], history["metrics"]]


def files(client: Client, job: str) -> dict[str, dict[str, str]]:
    """Kind of checkpoint → file → hash."""
    return {
        kind: {file["name"]: file["sha256"] for file in checkpoint["files"]}
        for checkpoint in client.checkpoints(job)
        for kind in checkpoint["kinds"]
    }


def kill_beyond(epochs: int, *, job: str, service: Service, client: Client) -> None:
    """Kill the training process once it has come so far, and wait for its successor."""
    wait_until(lambda: client.job(job)["progress"]["epoch"] > epochs, seconds=60, what="some epochs")
    process = training_process(service, job)
    assert process is not None
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: training_process(service, job) not in (process, None), what="another attempt")


def test_a_job_whose_process_is_killed_three_times_ends_as_if_nothing_had_been(service: Service, client: Client) -> None:
    dataset = client.sample("iris")["id"]
    undisturbed = client.submit({"dataset": dataset, **SPEC})["id"]
    assert client.wait(undisturbed, timeout=120)["status"] == "succeeded"

    job = client.submit({"dataset": dataset, **SPEC})["id"]
    for epochs in (800, 1600, 2400):
        kill_beyond(epochs, job=job, service=service, client=client)

    ended = client.wait(job, timeout=120)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 4)
    assert client.history(job)["epoch"] == list(range(1, 4001))
    assert without_seconds(client.history(job)) == without_seconds(client.history(undisturbed))
    for kind, hashes in files(client, undisturbed).items():
        assert files(client, job)[kind]["weights.safetensors"] == hashes["weights.safetensors"]
        assert files(client, job)[kind]["model.onnx"] == hashes["model.onnx"]


def test_only_the_training_process_has_torch_in_it(service: Service, client: Client) -> None:
    client.sample("iris")
    processes = [pid for pid in marked(service.folder) if b"worker.celery_app" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    with_torch = ["libtorch" in Path(f"/proc/{pid}/maps").read_text() for pid in processes]

    assert sorted(with_torch) == [False, True]
