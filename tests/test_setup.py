"""Which torch is installed: on a machine with a GPU never the build that sees none, where there is another."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = next(line for line in (ROOT / "scripts" / "torch").read_text().splitlines() if line.startswith("version="))[8:]
BUILDS = {"both": [VERSION, f"{VERSION}+cpu"], "CUDA": [VERSION], "CPU": [f"{VERSION}+cpu"], "unknown": []}
WITH_CUDA, FOR_CPU, ANY = f"torch=={VERSION},!={VERSION}+cpu", f"torch=={VERSION}+cpu", f"torch=={VERSION}"


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("offered", "gpu", "asked", "requirement"),
    [
        ("both", True, [], WITH_CUDA),
        ("both", False, [], FOR_CPU),
        ("both", False, ["gpu"], WITH_CUDA),
        ("both", True, ["cpu"], FOR_CPU),
        ("CUDA", True, [], WITH_CUDA),
        ("CUDA", False, [], ANY),
        ("CPU", True, [], FOR_CPU),
        ("CPU", True, ["gpu"], WITH_CUDA),
        ("unknown", True, [], WITH_CUDA),
        ("unknown", False, [], ANY),
    ],
)
def test_the_build_fits_the_machine_and_what_is_offered(
    offered: str, gpu: bool, asked: list[str], requirement: str, tmp_path: Path
) -> None:
    program(tmp_path / "nvidia-smi", "exit 0" if gpu else "exit 1")
    versions = f"Available versions: {', '.join([*BUILDS[offered], '2.1.0+cpu', '2.1.0'])}"
    program(tmp_path / "python", f"echo '{versions}'" if offered != "unknown" else "exit 1")
    command = [str(ROOT / "scripts" / "torch"), str(tmp_path / "python"), *asked]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})

    assert ran.stdout == f"{requirement}\n"
