"""Which torch is installed: on a machine with a GPU never the build that sees none."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

SCRIPT = Path(__file__).parents[1] / "scripts" / "torch"
VERSION = torch.__version__.partition("+")[0]


def required(*kind: str, path: str) -> Requirement:
    ran = subprocess.run([SCRIPT, sys.executable, *kind], capture_output=True, text=True, check=True, env={"PATH": path})
    return Requirement(ran.stdout.strip())


@pytest.mark.parametrize("kind", [["gpu"], []], ids=["asked for", "found"])
def test_a_gpu_gets_the_build_with_cuda(kind: list[str], tmp_path: Path) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    found = required(*kind, path=f"{tmp_path}:/usr/bin:/bin")

    assert found.name == "torch"
    assert [build for build in ("", "+cu130", "+cpu") if f"{VERSION}{build}" in found.specifier] == ["", "+cu130"]


def test_a_cpu_gets_its_own_build_where_there_is_one() -> None:
    assert f"{VERSION}+cpu" in required("cpu", path="/usr/bin:/bin").specifier
