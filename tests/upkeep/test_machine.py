import os
from pathlib import Path

import pytest

from app.upkeep import machine


@pytest.mark.parametrize(("cores", "slots"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_without_a_gpu_two_cores_make_a_slot(cores: int, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(machine, "cores", lambda: cores)

    assert machine.default_slots() == slots


@pytest.mark.parametrize(
    ("limit", "granted"), [("1000000000", 1_000_000_000), ("max", None), (str(2**62), None)], ids=["limit", "none", "v1's none"]
)
def test_a_container_may_grant_less_memory_than_the_machine_has(
    limit: str, granted: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(machine, "_LIMITS", (tmp_path / "memory.max", tmp_path / "is not there"))

    assert machine.memory() == (granted or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def test_a_slots_job_gets_its_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: 10_000_000_000)
    monkeypatch.setattr(machine, "default_slots", lambda: 2)

    assert machine.memory_budget(1) == 7_000_000_000
    assert machine.memory_budget(7) == 1_000_000_000
    assert machine.memory_budget(0) == 3_500_000_000


@pytest.mark.parametrize(("quota", "granted"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 1 << 16)])
def test_a_container_may_grant_fewer_cores_than_the_machine_has(
    quota: str, granted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(machine, "_QUOTA", tmp_path / "cpu.max")

    assert machine.cores() == min(len(os.sched_getaffinity(0)), granted)
