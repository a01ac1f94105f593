"""Samples of a very long history, polls that find nothing new, and many open streams while a job trains.

How 20 000 epochs are read beside an MLflow tracking server: `benchmarks.history`.
"""

import asyncio
import io
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx2
import polars as pl

from benchmarks.main_job import SPEC
from benchmarks.service import Service, process_tree, running_service

POINTS = 1000
POLLS = 500
SECONDS = 10
ARROW = "application/vnd.apache.arrow.stream"


def measure(*, epochs: int, streams: int, repeats: int) -> None:
    """Measure and print."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * streams)), hard))
    with running_service() as service, service.client() as client:
        dataset = client.post("/v1/datasets", json={"sample": "iris"}).raise_for_status().json()["id"]
        api = next(pid for pid, command in process_tree(service.process.pid).items() if "app.start:create_app" in command)
        samples(client, finished(client, dataset, epochs), repeats, api)
        job = submit(client, dataset, epochs=10_000_000)
        asyncio.run(follow(service, client, job, streams=streams, api=api))
        polls(client, paused(client, dataset), api)


def submit(client: httpx2.Client, dataset: str, *, epochs: int) -> str:
    """A job; its id."""
    spec = {"dataset": dataset, **SPEC, "epochs": epochs}
    job: str = client.post("/v1/jobs", json=spec).raise_for_status().json()["id"]
    return job


def finished(client: httpx2.Client, dataset: str, epochs: int) -> str:
    """A job that has trained so long; its id."""
    job = submit(client, dataset, epochs=epochs)
    while not client.get(f"/v1/jobs/{job}", params={"wait": 60}).raise_for_status().json()["terminal"]:
        pass
    return job


def paused(client: httpx2.Client, dataset: str) -> str:
    """A live job to which nothing happens; its id."""
    job = submit(client, dataset, epochs=10_000_000)
    client.post(f"/v1/jobs/{job}/pause").raise_for_status()
    while client.get(f"/v1/jobs/{job}").raise_for_status().json()["status"] != "paused":
        time.sleep(0.1)
    return job


def seconds(ask: Callable[[], httpx2.Response]) -> float:
    """How long an answer takes."""
    begin = time.perf_counter()
    ask().raise_for_status()
    return time.perf_counter() - begin


def samples(client: httpx2.Client, job: str, repeats: int, api: int) -> None:
    """The first sample, the same again, and those of ranges that nobody asked for before; every extreme is looked for."""
    path = f"/v1/jobs/{job}/history"

    def ask(after: int = 0) -> httpx2.Response:
        return client.get(path, params={"max_points": POINTS, "after": after})

    before = cpu_seconds(api)
    first, spent = seconds(ask), cpu_seconds(api) - before
    again = median(seconds(ask) for _ in range(repeats))
    others = median(seconds(partial(ask, after)) for after in range(1, 1 + 1000 * repeats, 1000))
    page, whole = ask().json(), pl.read_ipc_stream(io.BytesIO(client.get(path, headers={"Accept": ARROW}).content))
    told = pl.Series(page["epoch"])
    for column in whole.drop("epoch", "seconds"):
        for end in (column.min(), column.max()):
            places = whole.filter(column == end)["epoch"]
            assert column.n_unique() == 1 or places.is_in(told.implode()).any(), (column.name, end)
    print(f"max_points={POINTS} of {page['total']} epochs, {len(told)} points with every curve's extremes:")
    print(f"  first time {1000 * first:.0f} ms ({1000 * spent:.0f} of the processor), goal <= 1500;", end="")
    print(f" once seen {1000 * again:.0f} ms", end="")
    print(f", another range each time {1000 * others:.0f} ms (medians of {repeats}), goal <= 300")


def cpu_seconds(process: int) -> float:
    """The processor's time of a process so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def polls(client: httpx2.Client, job: str, api: int) -> None:
    """The server's processor time for polls of a live job that find nothing new."""
    path = f"/v1/jobs/{job}/history"
    page = client.get(path, params={"max_points": 2})
    params, tag = {"after": page.json()["next"]}, page.headers["etag"]
    for name, headers, status in (("with its tag", {"If-None-Match": tag}, 304), ("by `after` alone", {}, 200)):
        before = cpu_seconds(api)
        for _ in range(POLLS):
            assert client.get(path, params=params, headers=headers).status_code == status
        spent = (cpu_seconds(api) - before) / POLLS
        print(f"a poll that finds nothing new, {name}: {1000 * spent:.2f} ms of the server's processor, goal <= 2")


async def follow(service: Service, client: httpx2.Client, job: str, *, streams: int, api: int) -> None:
    """Open so many streams of a job in training, watch for some seconds, then cancel: each must end with `done`."""
    begin, before = time.perf_counter(), cpu_seconds(api)
    opened = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(stream(service.url, job, opened)) for _ in range(streams)]
    for _ in range(streams):
        await opened.acquire()
    print(f"{streams} streams: opened in {time.perf_counter() - begin:.1f} s", end="")
    print(f" and {cpu_seconds(api) - before:.1f} s of the server's processor; for {SECONDS} s ", end="", flush=True)
    before, pings, end = cpu_seconds(api), list[float](), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        pings.append(await asyncio.to_thread(seconds, lambda: client.get("/livez")))
        await asyncio.sleep(0.1)
    share = (cpu_seconds(api) - before) / SECONDS
    await asyncio.to_thread(client.post, f"/v1/jobs/{job}/cancel")
    begin = time.perf_counter()
    events = [await task for task in tasks]
    print(f"{sum(events)} events, {100 * share:.0f} % of a processor, /livez in {1000 * median(pings):.0f} ms;", end="")
    print(f" after a cancel all had `done` in {time.perf_counter() - begin:.1f} s")


async def stream(url: str, job: str, opened: asyncio.Semaphore) -> int:
    """How many events a stream tells, to its end; thinned, for it is the streams that are measured."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = f"GET /v1/jobs/{job}/stream?every=1000 HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    events = (line async for line in reader if line.startswith(b"event: "))
    names = [await anext(events)]
    opened.release()
    names += [name async for name in events]
    writer.close()
    assert names[-1] == b"event: done\n", names[-1]
    return len(names)
