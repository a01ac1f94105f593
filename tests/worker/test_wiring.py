"""What a training process says of the machine when it starts."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from app.persistence import workers
from app.persistence.database import Database
from app.persistence.rows import WorkerRow
from app.settings import Settings
from app.upkeep import machine
from worker import wiring

GB = 10**9


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 20 GB, and 10 GB free on each GPU, on which nothing can be trained."""
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    monkeypatch.setattr(machine, "memory", lambda: 20 * GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10 * GB, 16 * GB))
    monkeypatch.setattr("worker.trainer.train_a_little", lambda device: None)
    monkeypatch.setattr(wiring, "_trainers", {})


@pytest.mark.parametrize(
    ("device", "settings", "memory", "host_memory"),
    [
        ("cuda", {}, 9 * GB, 7 * GB),
        ("cuda", {"slots": 4}, 4.5 * GB, 3.5 * GB),
        ("cuda", {"memory_bytes": GB}, 9 * GB, GB),
        ("cpu", {"slots": 2}, 7 * GB, None),
        ("cpu", {"memory_bytes": GB}, GB, None),
    ],
)
def test_a_process_says_what_a_job_may_use_of_its_memory_and_of_its_gpu_s(
    device: str,
    settings: dict[str, int],
    memory: float,
    host_memory: float | None,
    two_gpus: None,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = Settings.model_validate({"data": tmp_path, "database_url": sqlite_url, **settings})
    monkeypatch.setattr(wiring, "settings", lambda: chosen)
    monkeypatch.setattr(wiring, "_device", lambda gpu: device)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1" if device == "cuda" else "")

    told, alarms = started(sqlite_url)

    assert (told.device, told.memory, told.host_memory) == (device, memory, host_memory)
    assert alarms == []


def test_a_process_whose_gpu_is_missing_says_so_and_trains_on_the_cpu(
    two_gpus: None, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings.model_validate({"data": tmp_path, "database_url": sqlite_url})
    monkeypatch.setattr(wiring, "settings", lambda: chosen)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")

    told, alarms = started(sqlite_url)

    assert (told.device, told.host_memory) == ("cpu", None)
    assert alarms == [{"event": "gpu.missing", "gpu": "1", "log_level": "error"}]


def started(url: str) -> tuple[WorkerRow, list[MutableMapping[str, Any]]]:
    """What the process of slot 1 says of itself, and what it logs as an error."""
    database = Database(url)
    with capture_logs() as logged:
        wiring.start_trainer(lambda: False, slot=1, alive=lambda: None)
    with database.read() as connection:
        [told] = workers.every(connection)
    wiring.trainer().leave()
    database.close()
    return told, [line for line in logged if line["log_level"] == "error"]
