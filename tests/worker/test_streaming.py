"""A training process whose rows are on disk: what its jobs leave behind, and that it leaves nothing else."""

import json
import os
from pathlib import Path

import pytest

from app.domain.job import Status
from app.domain.spec import Window
from tests.servers.service import embedded
from tests.worker.test_process import files, kill_beyond, without_seconds
from tests.worker.yard import Killed, Yard
from tests.worker.yard import without_seconds as as_two_attempts_agree

# Eighty training rows are twelve blocks in three windows.
WINDOW = Window(block_rows=7, blocks=4)
# More than a job on the digits takes without its rows, less than it takes with them.
BUDGET = 74_000_000


def test_a_streamed_job_ends_with_the_same_bits_however_often_it_is_killed(yard: Yard) -> None:
    fields: dict[str, object] = {"batch_size": 9, "epochs": 4}
    undisturbed = yard.submit_streamed(WINDOW, **fields)
    yard.work()
    again = yard.submit_streamed(WINDOW, **fields)

    def die() -> None:
        if yard.reports == 12:
            raise Killed

    yard.on_report = die
    while not yard.job(again.id).status.terminal:
        try:
            yard.work(checkpoint=0)
        except Killed:
            yard.bury(max_crashes=100)

    assert yard.job(undisturbed.id).status is Status.SUCCEEDED
    assert yard.job(again.id).attempt > 3
    assert as_two_attempts_agree(yard.history(again)) == as_two_attempts_agree(yard.history(undisturbed))
    for kind in ("best", "last"):
        assert yard.weights(yard.checkpoints(again)[kind]) == yard.weights(yard.checkpoints(undisturbed)[kind])


def test_a_streamed_job_is_prepared_and_tested_as_one_in_memory(yard: Yard) -> None:
    fields: dict[str, object] = {
        "batch_size": "full",
        "epochs": 9,
        "split": {"validation": 0.2, "test": 0.1},
        "class_weights": "balanced",
    }
    streamed, held = yard.submit_streamed(WINDOW, **fields), yard.submit(**fields)

    yard.work()

    assert yard.job(streamed.id).test == yard.job(held.id).test
    assert as_two_attempts_agree(yard.history(streamed)) == as_two_attempts_agree(yard.history(held))
    ours, theirs = (json.loads(yard.file(yard.checkpoints(job)["best"], "model.json")) for job in (streamed, held))
    assert (ours["columns"], ours["target"]) == (theirs["columns"], theirs["target"])


def test_the_rows_on_disk_go_with_the_job(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    open_while_training = set()

    def look() -> None:
        open_while_training.update(_open_below(scratch))

    yard.submit_streamed(WINDOW, batch_size=9, epochs=2)
    yard.on_report = look

    yard.work()

    assert len(open_while_training) >= 4  # x and y of two parts
    assert list(scratch.iterdir()) == []
    assert _open_below(scratch) == []


def _open_below(folder: Path) -> list[str]:
    """Files of this process, those without a name too."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(descriptor))
        except FileNotFoundError:  # the one that lists
            continue
    return [link for link in links if link.startswith(str(folder))]


def test_a_job_beyond_a_tiny_memory_is_streamed_and_survives_a_kill(tmp_path: Path) -> None:
    with (
        embedded(tmp_path / "data", environment={"TRAINYARD_MEMORY_BYTES": str(BUDGET)}) as service,
        service.client() as client,
    ):
        spec = {
            "dataset": client.sample("digits")["id"],
            "target": "digit",
            "network": {"hidden_layers": [8]},
            "batch_size": 16,
            "epochs": 300,
        }
        plan = client.plan(spec)
        assert plan["resolved_spec"] is not None
        assert plan["resolved_spec"]["streaming"]
        undisturbed = client.submit(spec)
        assert undisturbed["resolved_spec"] == plan["resolved_spec"]
        assert client.wait(undisturbed["id"], timeout=120)["status"] == "succeeded"

        job = client.submit(spec)["id"]
        kill_beyond(10, job=job, service=service, client=client)

        ended = client.wait(job, timeout=120)
        assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
        assert without_seconds(client.history(job)) == without_seconds(client.history(undisturbed["id"]))
        hashes = files(client, undisturbed["id"])["last"]
        assert files(client, job)["last"]["weights.safetensors"] == hashes["weights.safetensors"]
