"""Two API processes and a worker as on a cluster: any of them answers for all, and no death takes a number along."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.api.metrics import samples, value
from tests.servers.cluster import Cluster, cluster
from tests.servers.plain import NOBODY
from tests.servers.processes import command_line, end, free_port, wait_until
from tests.servers.service import PERIODS
from trainyard import Client

REQUESTS, EPOCHS = 60, 40


@contextmanager
def two_processes(database_url: str, broker: str, folder: Path) -> Iterator[Cluster]:
    """Two API processes that are ready."""
    environment = {
        **PERIODS,
        "TRAINYARD_DATA": str(folder / "data"),
        "TRAINYARD_DATABASE_URL": database_url,
        "TRAINYARD_REDIS_URL": broker,
        "TRAINYARD_PORT": str(free_port()),
        "TRAINYARD_API_WORKERS": "2",
        "TRAINYARD_SLOTS": "1",
    }
    with cluster(environment, folder) as started:
        start(started)
        yield started


def start(parts: Cluster) -> None:
    parts.start("api", ["trainyard", "api"])
    parts.wait_until_healthy("api", ["trainyard", "api", "--check"])
    wait_until_both_answer(parts)


def wait_until_both_answer(parts: Cluster) -> None:
    wait_until(lambda: value(read(parts), "api_processes") == 2, seconds=60, what="two API processes")


def url(parts: Cluster) -> str:
    return f"http://127.0.0.1:{parts.environment['TRAINYARD_PORT']}"


def read(parts: Cluster) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """A scrape, on a connection of its own."""
    return samples(httpx2.get(f"{url(parts)}/metrics", timeout=30, verify=NOBODY))


def listed(parts: Cluster) -> float:
    return value(read(parts), "requests_total", method="GET", route="/v1/datasets", status="200")


def ask(parts: Cluster) -> None:
    """Many requests, each on a connection of its own, so that both processes answer some."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx2.get(f"{url(parts)}/v1/datasets", timeout=30, verify=NOBODY), range(REQUESTS)))
    assert {answer.status_code for answer in answers} == {200}


def processes(parts: Cluster) -> list[int]:
    """The API processes that uvicorn started."""
    parent = parts.parts["api"].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in command_line(int(child))]


def loaded(process: int) -> str:
    """The libraries of a process."""
    return Path(f"/proc/{process}/maps").read_text()


def test_every_process_answers_for_all_and_no_death_takes_a_number_along(
    sqlite_url: str, valkey_server: str, tmp_path: Path
) -> None:
    with two_processes(sqlite_url, valkey_server, tmp_path) as parts:
        ask(parts)
        assert {listed(parts) for _ in range(10)} == {REQUESTS}
        # asyncio's own loop stalls each answer of several processes by 44 ms; see also `benchmarks.api creates`
        assert all("uvloop" in loaded(process) for process in processes(parts))

        dead, _ = processes(parts)
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: dead not in processes(parts) and len(processes(parts)) == 2, seconds=60, what="a successor")
        wait_until_both_answer(parts)
        ask(parts)
        assert {listed(parts) for _ in range(10)} == {2 * REQUESTS}

        end(parts.parts["api"])
        start(parts)
        assert listed(parts) == 2 * REQUESTS


def test_what_a_worker_elsewhere_trains_and_loses_is_told_by_the_api(
    database_url: str, valkey_server: str, tmp_path: Path
) -> None:
    with two_processes(database_url, valkey_server, tmp_path) as parts, Client(url(parts)) as client:
        parts.start("worker", ["trainyard", "worker"])
        spec = {"dataset": client.sample("iris")["id"], "target": "species", "epochs": EPOCHS}
        job = client.submit(spec)["id"]
        assert client.wait(job, timeout=120)["status"] == "succeeded"
        client.predict(job, [[5.1, 3.5, 1.4, 0.2]] * 3)

        endless = client.submit({**spec, "epochs": 10_000_000})["id"]
        wait_until(lambda: client.job(endless)["latest"] is not None, what="the first report")
        os.kill(int(client.system()["workers"][0]["id"].rpartition(":")[2]), signal.SIGKILL)
        wait_until(lambda: client.job(endless)["attempt"] == 2, seconds=60, what="the next attempt")
        before = value(read(parts), "epochs_total")
        wait_until(lambda: value(read(parts), "epochs_total") > before, what="more epochs")
        client.cancel(endless)
        trained = client.wait(endless, timeout=60)["progress"]["epoch"]
        now = read(parts)

    assert value(now, "attempts_lost_total", cause="killed") == 1
    assert value(now, "predicted_rows_total") == 3
    assert value(now, "epochs_total") >= EPOCHS + trained
    assert value(now, "jobs_finished_total", status="succeeded", stop_reason="max_epochs") == 1
    assert value(now, "jobs_finished_total", status="cancelled", stop_reason="cancelled") == 1
    assert value(now, "leases_lost_total") == 0
