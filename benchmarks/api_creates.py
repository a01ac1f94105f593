"""`POST /v1/jobs` beside an endpoint that inserts one row and sends one message, and one API process beside several."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

import httpx2

from benchmarks.main_job import SPEC
from benchmarks.parts import api, bare, broker

REQUESTS = 200
PROCESSES = 4
WAITING = 5_000


def measure(*, repeats: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as redis:
        processes(Path(folder), redis, repeats)
        creates(Path(folder), redis, repeats)


def creates(folder: Path, redis: str, repeats: int) -> None:
    """Jobs a second of both, alternating, from one client and from eight; nobody trains them."""
    with api(folder, redis) as ours, bare(folder, redis) as theirs:
        spec = {"dataset": dataset(ours), **SPEC}
        for clients in (1, 8):
            ratios = []
            for _ in range(repeats):
                beside = post(theirs, "/jobs", spec, clients)
                ratios.append(beside / post(ours, "/v1/jobs", spec, clients))
                cancel_all(ours)
            told = f"{median(ratios):.2f} of the bare endpoint's rate ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"POST /v1/jobs, {clients} at a time: {told}, goal >= 0.50")
        sweep(ours, spec)
        ratio = post(theirs, "/jobs", spec, 1) / post(ours, "/v1/jobs", spec, 1)
        print(f"  with {WAITING} jobs that wait: {ratio:.2f}")


def dataset(client: httpx2.Client) -> str:
    """The id of a dataset."""
    id: str = client.post("/v1/datasets", json={"sample": "iris"}).raise_for_status().json()["id"]
    return id


def post(client: httpx2.Client, path: str, spec: dict[str, object], clients: int) -> float:
    """Seconds for so many requests, on connections that are open."""

    def one(_: int) -> None:
        client.post(path, json=spec).raise_for_status()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(clients)))
        begin = time.perf_counter()
        list(pool.map(one, range(REQUESTS)))
        return time.perf_counter() - begin


def cancel_all(client: httpx2.Client) -> None:
    """Leave no job queued."""
    while waiting := client.get("/v1/jobs", params={"status": "queued", "limit": 200}).raise_for_status().json()["data"]:
        for job in waiting:
            client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()


def sweep(client: httpx2.Client, spec: dict[str, object]) -> None:
    """Queue thousands of jobs."""
    search = {"seed": {"range": [0, WAITING]}}
    client.post("/v1/sweeps", json={"spec": spec, "search": search, "method": "grid"}).raise_for_status()


def processes(folder: Path, redis: str, repeats: int) -> None:
    """How long one request takes, of one process and of several, alternating; one at a time, and eight."""
    with api(folder, redis) as one, api(folder, redis, processes=PROCESSES) as several:
        for clients in (1, 8):
            pairs = [(answered(one, clients), answered(several, clients)) for _ in range(repeats)]
            ratios = [median(many) / median(alone) for alone, many in pairs]
            slowest = 1000 * median(quantiles(many, n=100)[98] for _, many in pairs)
            told = f"{median(ratios):.2f} times one process's ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"a request to {PROCESSES} processes, {clients} at a time, takes {told}, goal <= 1; ", end="")
            print(f"p99 {slowest:.1f} ms (the known stall: 44)")


def answered(client: httpx2.Client, clients: int) -> list[float]:
    """Seconds of each of many requests, each on a connection of its own, so that every process gets some."""

    def one(_: int) -> float:
        begin = time.perf_counter()
        client.get("/v1/jobs", params={"limit": 1}, headers={"Connection": "close"}).raise_for_status()
        return time.perf_counter() - begin

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, range(REQUESTS)))
