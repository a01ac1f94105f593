"""Reading 20 000 epochs back, the losses alone and all columns, against one metric of an MLflow tracking server in one run.

    python -m benchmarks.history [--repeats 9] [--mlflow PATH]

PATH is a virtual environment with `mlflow`; without one the script makes it (about 850 MB) in the user's cache folder.
Both answer over HTTP from SQLite, one server process each; one client reads and decodes both in the same way.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import orjson

from benchmarks.main_job import EPOCHS, SPEC
from benchmarks.service import running_service

BATCH = 1000
API = "/api/2.0/mlflow"
GOALS = {"losses, the first time": 0.05, "losses, once seen": 0.05, "all, the first time": 0.1, "all, once seen": 0.05}
READINGS = tuple(GOALS)


def mlflow_environment(path: Path) -> Path:
    """A virtual environment with MLflow, made where it is not there yet."""
    if not (path / "bin/mlflow").exists():
        print(f"Installing mlflow into {path} (about 850 MB).")
        venv.create(path, with_pip=True)
        subprocess.run([path / "bin/pip", "install", "--quiet", "mlflow"], check=True)
    return path


@contextmanager
def mlflow_server(environment: Path) -> Iterator[httpx2.Client]:
    """A tracking server on SQLite with one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [
            environment / "bin/mlflow",
            "server",
            "--backend-store-uri",
            f"sqlite:///{folder}/mlflow.db",
            "--workers",
            "1",
        ]
        command += ["--host", "127.0.0.1", "--port", str(port), "--default-artifact-root", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        try:
            _wait_until_healthy(client)
            yield client
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)


def _wait_until_healthy(client: httpx2.Client) -> None:
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        try:
            if client.get("/health").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise TimeoutError("MLflow did not start.")


def fill_mlflow(client: httpx2.Client) -> str:
    """One run with as many values of one metric as the job has epochs; its id."""
    experiment = client.post(f"{API}/experiments/create", json={"name": "benchmark"}).raise_for_status().json()["experiment_id"]
    run = client.post(f"{API}/runs/create", json={"experiment_id": experiment, "start_time": 0}).raise_for_status().json()
    id: str = run["run"]["info"]["run_id"]
    for begin in range(0, EPOCHS, BATCH):
        metrics = [
            {"key": "loss", "value": 1 / (step + 1), "timestamp": step, "step": step} for step in range(begin, begin + BATCH)
        ]
        client.post(f"{API}/runs/log-batch", json={"run_id": id, "metrics": metrics}).raise_for_status()
    return id


def read_mlflow(client: httpx2.Client, run: str) -> float:
    """Seconds for all values of one metric."""
    begin = time.perf_counter()
    query: dict[str, str | int] = {"run_id": run, "metric_key": "loss", "max_results": EPOCHS}
    values = orjson.loads(client.get(f"{API}/metrics/get-history", params=query).raise_for_status().content)["metrics"]
    assert len(values) == EPOCHS
    return time.perf_counter() - begin


def train(client: httpx2.Client) -> str:
    """A finished job of so many epochs; its id."""
    dataset = client.post("/v1/datasets", json={"sample": "iris"}).raise_for_status().json()["id"]
    job: str = client.post("/v1/jobs", json={"dataset": dataset, **SPEC}).raise_for_status().json()["id"]
    while not client.get(f"/v1/jobs/{job}", params={"wait": 60}).raise_for_status().json()["terminal"]:
        pass
    return job


def read_ours(client: httpx2.Client, job: str, columns: str) -> float:
    """Seconds for all epochs, page by page."""
    begin = time.perf_counter()
    read, page = 0, dict[str, Any](next=0, has_more=True)
    while page["has_more"]:
        query: dict[str, str | int] = {"after": page["next"], "limit": 10_000, "columns": columns}
        page = orjson.loads(client.get(f"/v1/jobs/{job}/history", params=query).raise_for_status().content)
        read += len(page["epoch"])
    assert read == EPOCHS
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("--mlflow", type=Path, default=cache / f"trainyard-benchmarks/mlflow-{sys.version_info.minor}")
    arguments = parser.parse_args()
    environment = mlflow_environment(arguments.mlflow)
    with running_service() as service, service.client() as ours, mlflow_server(environment) as theirs:
        run = fill_mlflow(theirs)
        read(ours, theirs, run)
        rounds = [read(ours, theirs, run) for _ in range(arguments.repeats)]
    *mine, other = zip(*rounds, strict=True)
    print(f"{EPOCHS} epochs; MLflow, one metric: {1000 * median(other):.0f} ms")
    for name, seconds in zip(READINGS, mine, strict=True):
        ratios = [one / another for one, another in zip(seconds, other, strict=True)]
        spread = f"({min(ratios):.3f} to {max(ratios):.3f}), goal <= {GOALS[name]:.3f}"
        print(f"{name}: {1000 * median(seconds):.0f} ms, ratio ours / MLflow: median {median(ratios):.3f} {spread}")


def read(ours: httpx2.Client, theirs: httpx2.Client, run: str) -> list[float]:
    """Seconds for a job that nobody read before, for the same again, each in the order of READINGS, and for MLflow."""
    job = train(ours)
    return [*(read_ours(ours, job, name.split(",")[0]) for name in READINGS), read_mlflow(theirs, run)]


if __name__ == "__main__":
    main()
