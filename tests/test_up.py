"""The embedded service as a person meets it: started, stopped, killed, started again."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.upkeep.stale import marked
from app.upkeep.supervisor import STORAGE_AWAY
from tests.servers.processes import command_line, end, wait_until
from tests.servers.service import Service, embedded
from trainyard import Client

LONG = 2_000_000


def up(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """An `up` that is expected to give up."""
    command = [sys.executable, "-m", "trainyard", "up", "--data", str(folder), *options]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)


def submit(client: Client, *, epochs: int) -> str:
    dataset = client.sample("iris")["id"]
    return client.submit({"dataset": dataset, "target": "species", "epochs": epochs, "batch_size": 8})["id"]


def part(service: Service, words: str) -> int | None:
    """The number of the service's first process whose command line has these words."""
    return next((pid for pid in sorted(marked(service.folder)) if words in command_line(pid)), None)


def test_a_job_goes_on_through_ctrl_c_and_a_kill_and_waits_for_its_storage_and_up_says_one_line(tmp_path: Path) -> None:
    with embedded(tmp_path / "data") as service, service.client() as client:
        job = submit(client, epochs=LONG)
        seen = next(client.follow(job))["epoch"][-1]  # the stream stays open
        os.killpg(service.process.pid, signal.SIGINT)

        assert service.process.wait(timeout=15) == 0
        assert list(marked(service.folder)) == []
        assert not (service.folder / "url").exists()
        assert service.printed() == [f"Trainyard is ready: {service.url}"]

    with embedded(tmp_path / "data") as service, service.client() as client:
        wait_until(lambda: client.job(job)["progress"]["epoch"] > seen, what="the job to go on after Ctrl-C")
        seen = client.job(job)["progress"]["epoch"]
        left = set(marked(service.folder))
        service.process.kill()
        service.process.wait()

    files, away = service.folder / "files", service.folder / "away"
    files.rename(away)
    with (
        embedded(tmp_path / "data", environment={"TRAINYARD_STORAGE_RETRY_SECONDS": "0.5"}) as service,
        service.client() as client,
    ):
        assert left.isdisjoint(marked(service.folder))
        assert service.printed() == [STORAGE_AWAY, f"Trainyard is ready: {service.url}"]
        assert not files.exists()
        away.rename(files)
        wait_until(lambda: client.job(job)["progress"]["epoch"] > seen, what="the job to go on after the kill")
        client.cancel(job)
        assert client.wait(job, timeout=30)["stop_reason"] == "cancelled"
        epochs = client.history(job)["epoch"]
        assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.parametrize("words", ["app.server", "celery", "valkey-server"])
def test_a_dead_part_is_started_again(words: str, service: Service, client: Client) -> None:
    dead = part(service, words)
    assert dead is not None
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: part(service, words) not in (dead, None))

    job = submit(client, epochs=10)

    assert client.wait(job, timeout=60)["status"] == "succeeded"


def test_a_second_service_on_the_same_folder_is_refused(service: Service) -> None:
    done = up(service.folder, "--port", "0")

    assert done.returncode == 1
    assert done.stderr.startswith(f"Trainyard already runs on {service.folder} (process {service.process.pid})")


def test_a_taken_port_is_told_with_what_to_set(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up(tmp_path, "--port", str(port))

    assert done.returncode == 1
    assert done.stderr == f"Cannot listen on 127.0.0.1:{port} (Address already in use): set TRAINYARD_HOST or TRAINYARD_PORT.\n"


def test_without_a_key_only_loopback_is_listened_on(tmp_path: Path) -> None:
    done = up(tmp_path, "--host", "0.0.0.0")

    assert done.returncode == 1
    assert "set TRAINYARD_API_KEY" in done.stderr


def test_a_database_that_does_not_answer_is_told_in_one_sentence(tmp_path: Path) -> None:
    done = up(tmp_path, "--port", "0", TRAINYARD_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/none")

    assert done.returncode == 1
    assert done.stderr.startswith("The database cannot be used:")
    assert "Traceback" not in done.stderr


def test_a_stop_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trainyard", "up", "--data", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    wait_until(lambda: any(True for _ in marked(tmp_path)), what="the first child")

    assert end(process) == 0

    assert list(marked(tmp_path)) == []
    assert process.communicate()[0] == b""
