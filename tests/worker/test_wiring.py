"""What a training process knows of the machine when it starts."""

from pathlib import Path

import pytest
import torch

from app.settings import Settings
from app.upkeep import machine
from worker import trainer, wiring

GB = 10**9


class Recorded:
    """In place of a trainer: what the last one was given."""

    given: dict[str, object]

    def __init__(self, **given: object) -> None:
        Recorded.given = given

    def warm_up(self) -> None:
        """It is warm."""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 20 GB, and 10 GB free on each GPU."""
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    monkeypatch.setattr(machine, "memory", lambda: 20 * GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10 * GB, 16 * GB))
    monkeypatch.setattr(wiring, "_trainers", {})
    monkeypatch.setattr(wiring, "prepare_torch", lambda: None)
    monkeypatch.setattr(trainer, "Trainer", Recorded)


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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = Settings.model_validate({"data": tmp_path, **settings})
    monkeypatch.setattr(wiring, "settings", lambda: chosen)
    monkeypatch.setattr(wiring, "_device", lambda: device)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1" if device == "cuda" else "")

    wiring.start_trainer(lambda: False, slot=1, alive=lambda: None)

    assert (Recorded.given["memory"], Recorded.given["host_memory"]) == (memory, host_memory)
