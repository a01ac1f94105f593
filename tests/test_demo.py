"""The demo as a person runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from app.upkeep.stale import marked

ENVIRONMENT = {**os.environ, "COLUMNS": "80", "TRAINYARD_DATABASE_URL": "sqlite:////a/users/own/database"}


def start(folder: Path, *options: str, epochs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trainyard", "demo", "--output", str(folder), "--epochs", str(epochs), *options]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_demo_trains_draws_predicts_and_stops_what_it_started(tmp_path: Path) -> None:
    process = start(tmp_path, epochs=2000)
    shown, _ = process.communicate(timeout=120)

    assert process.returncode == 0, shown
    assert "Epoch [2000/2000], Loss: 0.1" in shown
    assert "succeeded after 2,000 epochs" in shown
    assert "best" in shown
    assert "last" in shown
    assert [line.split()[-5:-3] for line in shown.splitlines() if line.startswith(" 4.6 3.1 1.5 0.2")] == [["setosa", "setosa"]]
    assert max(len(line) for line in shown.splitlines() if "─" in line or "ckpt_" in line) <= 80
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list(marked(tmp_path / "data")) == []


def test_a_demo_whose_training_process_is_killed_ends_with_the_bits_of_an_undisturbed_run(tmp_path: Path) -> None:
    process = start(tmp_path, "--kill", "--kills", "2", epochs=3000)
    shown, _ = process.communicate(timeout=300)

    assert process.returncode == 0, shown
    kills = [line for line in shown.splitlines() if line.startswith("✗ kill")]
    assert kills
    assert len([line for line in shown.splitlines() if line.startswith("→ attempt")]) == len(kills)
    assert f"training processes killed: {len(kills)}, attempts: {len(kills) + 1}" in shown
    assert "Verdict      the same, to the last bit" in shown
    assert list(marked(tmp_path / "data")) == []


def test_an_interrupted_demo_stops_what_it_started(tmp_path: Path) -> None:
    process = start(tmp_path, epochs=2_000_000)
    assert process.stdout is not None
    assert any(line.startswith("Job ") for line in process.stdout)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode != 0
    assert list(marked(tmp_path / "data")) == []
