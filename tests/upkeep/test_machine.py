import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.upkeep import machine


@pytest.mark.parametrize(("cores", "slots"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_without_a_gpu_two_cores_make_a_slot(cores: int, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(machine, "cores", lambda: cores)

    assert machine.default_slots() == slots


@pytest.fixture
def three_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "_DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_slots_beyond_the_gpus_share_their_memory(three_gpus: None) -> None:
    assert [machine.sharing_a_gpu(slots) for slots in (0, 1, 3, 4, 6, 7)] == [1, 1, 1, 2, 2, 3]


def test_instances_of_one_gpu_are_gpus(three_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"MIG-{number}" for number in range(5)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
    assert [machine.gpu_of(slot) for slot in range(5)] == names


def test_each_slot_has_a_gpu_of_its_own(three_gpus: None) -> None:
    assert machine.default_slots() == 3
    assert [machine.gpu_of(slot) for slot in range(4)] == ["0", "1", "2", "0"]


def test_slots_get_the_gpus_that_were_chosen_by_their_names(three_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-8932f937")

    assert machine.gpus() == 2
    assert [machine.gpu_of(slot) for slot in range(3)] == ["2", "GPU-8932f937", "2"]


@pytest.mark.parametrize("chosen", ["", "-1"])
def test_no_slot_has_a_gpu_where_none_may_be_used(three_gpus: None, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)

    assert (machine.gpus(), machine.gpu_of(0)) == (0, None)


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


@pytest.mark.parametrize(
    ("limits", "wanted", "soft"), [("256:2048", 1024, 1024), ("256:512", 1024, 512), ("600:2048", 300, 600)]
)
def test_a_process_may_have_as_many_descriptors_as_it_wants_where_the_machine_grants_them(
    limits: str, wanted: int, soft: int
) -> None:
    lowered, hard = limits.split(":")
    script = (
        "import resource; from app.upkeep.machine import allow_descriptors; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({lowered}, {hard})); allow_descriptors({wanted}); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    assert int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout) == soft
