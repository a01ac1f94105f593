"""Many streams at once: what one of them costs, and that nothing of it is left when its client has gone."""

import asyncio
import json
import resource
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from app.persistence import events
from app.persistence.database import Database
from app.services.streams import Happened, Item, Position, Streams
from app.services.watcher import Watcher
from tests.api.service import Service, Trained
from tests.persistence.jobs import queued
from tests.servers.processes import wait_until

MANY = 1000


def waiting(service: Service) -> int:
    """How many streams wait in the service for something new."""
    count: int = service.server.config.app.state.services.streams.waiting  # type: ignore[union-attr]
    return count


def under_way(service: Service) -> int:
    """How many requests the service is answering."""
    return len(service.server.server_state.tasks)


def open_stream(service: Service, job: str, accept: str = "text/event-stream") -> socket.socket:
    """A connection of its own on which a stream begins."""
    connection = socket.create_connection((service.client.base_url.host, service.client.base_url.port or 80))
    connection.sendall(f"GET /v1/jobs/{job}/stream HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
    return connection


def vanish(connection: socket.socket) -> None:
    """Close without a goodbye: the other side is told by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
def test_a_client_that_vanishes_while_nothing_happens_leaves_nothing_behind(service: Service, accept: str) -> None:
    job = service.submit()["id"]
    connections = [open_stream(service, job, accept) for _ in range(20)]
    wait_until(lambda: waiting(service) == 20)

    for connection in connections[:10]:
        vanish(connection)
    for connection in connections[10:]:
        connection.close()

    wait_until(lambda: waiting(service) == under_way(service) == 0)


def test_a_client_that_vanishes_without_having_read_leaves_nothing_behind(small: Service) -> None:
    job = small.submit(epochs=60_000)["id"]
    Trained(small).train(1, 60_000)
    connection = open_stream(small, job)
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    assert under_way(small) == 1  # six megabytes are more than any buffer holds

    vanish(connection)

    wait_until(lambda: waiting(small) == under_way(small) == 0)


class Counted(Database):
    """Counts what is read."""

    reads = 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self.reads += 1
        with super().read() as connection:
            yield connection


def test_streams_at_the_same_place_share_a_reading_and_outlive_each_other(sqlite_url: str) -> None:
    database = Counted(sqlite_url)
    job = queued(database)
    with database.write() as connection:
        events.append(connection, job.number, "job.created")
    streams = Streams(database, Watcher(database, period=1))

    async def first() -> Item:
        return await anext(streams.follow(job, Position()))

    async def many() -> list[Item | BaseException]:
        tasks = [asyncio.create_task(first()) for _ in range(50)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    cancelled, *others = asyncio.run(many())

    assert isinstance(cancelled, asyncio.CancelledError)
    assert [type(item) for item in others] == [Happened] * 49
    assert database.reads == 1
    database.close()


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for both ends of so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * MANY)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def epochs_of(service: Service, job: str) -> list[int]:
    """The epochs of a stream, to its end."""
    url = service.client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET /v1/jobs/{job}/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    told: list[int] = []
    async for line in reader:
        if line.startswith(b"data: ") and b'"epoch":[' in line:
            told += json.loads(line.removeprefix(b"data: "))["epoch"]
    writer.close()
    return told


@pytest.mark.usefixtures("descriptors")
def test_a_thousand_streams_in_one_process_are_told_everything_while_the_job_trains(small: Service) -> None:
    job = small.submit(epochs=100)["id"]
    worker = Trained(small)

    def train() -> None:
        wait_until(lambda: waiting(small) == MANY, seconds=60)
        for first in range(1, 100, 20):
            worker.train(first, first + 19)
            assert small.get("/livez") == {"status": "ok"}
        worker.finish()

    async def follow() -> list[list[int]]:
        return await asyncio.gather(*(epochs_of(small, job) for _ in range(MANY)))

    trainer = threading.Thread(target=train)
    trainer.start()
    told = asyncio.run(asyncio.wait_for(follow(), 90))
    trainer.join()

    assert Counter(map(tuple, told)) == {tuple(range(1, 101)): MANY}
    wait_until(lambda: waiting(small) == under_way(small) == 0)
