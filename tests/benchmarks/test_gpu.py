"""The benchmark of GPUs runs: on a CPU with nothing but torch and numpy, and all of it on a GPU that is pretended."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks import gpu
from tests.engine.pretended import PretendedGpu, PretendedGraphs, recorder_of

# Every package is missing but torch, what torch needs, numpy, and the project's own.
ALONE = """
import re, sys
from importlib.metadata import packages_distributions, requires

def needed(name):
    own = [re.match("[A-Za-z0-9_.-]+", need)[0] for need in requires(name) or () if "extra ==" not in need]
    return {plain(name)}.union(*(needed(one) for one in own))

def plain(name):
    return name.lower().replace("_", "-")

present = needed("torch") | needed("numpy") | {"trainyard"}
for name, owners in packages_distributions().items():
    if not present & {plain(owner) for owner in owners} and name not in sys.stdlib_module_names:
        sys.modules.setdefault(name, None)
from dataclasses import replace
from benchmarks import gpu
gpu.CASES.update({name: replace(case, epochs=8) for name, case in gpu.CASES.items()})
sys.argv = ["gpu", "--device", "cpu", "--quick"]
gpu.main()
"""


def test_it_runs_with_nothing_but_torch_and_numpy() -> None:
    ran = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert "FAILED" not in ran.stdout
    assert ran.stdout.count(": runs\n") == 5


def test_a_check_that_cannot_be_made_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(gpu.CASES["dropout"], epochs=2, optimizer="none")
    monkeypatch.setattr(gpu, "CASES", {"broken": broken, "whole": replace(gpu.CASES["dropout"], epochs=2)})

    assert gpu.checks("cpu") == 4
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["FAILED", "ok"] * 4
    assert "KeyError: 'none'" in told[0]


def test_a_ratio_that_cannot_be_had_hides_no_other_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(gpu, "epoch_of_textbook", refuse)

    assert gpu.ratios("cpu", quick=True) == 2


@pytest.mark.parametrize("case", gpu.CASES)
def test_what_it_checks_holds_on_a_pretended_gpu(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended = PretendedGpu()
    monkeypatch.setattr("worker.engine.tape._LONGEST", 2)
    monkeypatch.setitem(gpu.CASES, case, replace(gpu.CASES[case], epochs=6))
    monkeypatch.setattr("worker.engine.replay.of", recorder_of(pretended))
    monkeypatch.setattr("worker.engine.replay.CudaGraphs", lambda device: PretendedGraphs(pretended))
    with pretended:
        assert gpu.check_recording(case, device="cuda") is None
        assert gpu.check_resume(case, device="cuda") is None
        if case != "bf16":
            assert gpu.check_packed(case, device="cuda") is None
            assert gpu.check_cpu(case, device="cuda") is None
