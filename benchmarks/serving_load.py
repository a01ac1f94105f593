"""The load: connections that are kept, each of which sends a prepared request as soon as its last one is answered."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from statistics import quantiles
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_FAILED_SECONDS = 60
_TOLD = 1000


class Refused(RuntimeError):
    """Raised when an answer is not 200."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer[:_TOLD].decode(errors="replace"))
        self.status = int(answer.split(b" ", 2)[1])


@dataclass(frozen=True)
class Round:
    """What was measured in one round."""

    latencies: Sequence[float]
    """Seconds of each request."""
    seconds: float
    client_cpu: float
    """Seconds of processor time of this process."""
    answer: bytes
    """The last one, with its head."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, which: int) -> float:
        """Of the seconds of a request."""
        return quantiles(self.latencies, n=100, method="inclusive")[which - 1]


@dataclass
class _Load:
    until: float
    done: asyncio.Event = field(default_factory=asyncio.Event)
    latencies: list[float] = field(default_factory=list)
    answer: bytes = b""
    open: int = 0
    error: Exception | None = None

    def end(self, error: Exception | None = None) -> None:
        self.error = self.error or error
        self.open -= 1
        if error or not self.open:
            self.done.set()


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load, requests: Sequence[bytes]) -> None:
        self._load, self._requests = load, cycle(requests)
        self._received = bytearray()
        self._wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not one
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._wanted:
            self._wanted = _length(self._received)
        if self._wanted and len(self._received) >= self._wanted:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self._load.latencies.append(now - self._began)
        self._load.answer = bytes(self._received)
        self._received.clear()
        self._wanted = 0
        if not self._load.answer.startswith(b"HTTP/1.1 200"):
            self._load.end(Refused(self._load.answer))
        elif now < self._load.until:
            self._send()
        else:
            self._load.end()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.done.is_set():
            self._load.end(exc or ConnectionError("The server closed a connection."))


def _length(received: bytearray) -> int:
    """Of the whole answer; 0 while its head is not there."""
    end = received.find(_END)
    if end < 0:
        return 0
    found = _LENGTH.search(received, 0, end + 2)
    if found is None:
        raise RuntimeError(f"An answer without its length: {bytes(received[:end])!r}")
    return end + len(_END) + int(found[1])


def load(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Round:
    """So many connections to a port of this machine for so long; each begins at another one of the requests."""
    return uvloop.run(_load(port, requests, connections, seconds))


async def _load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Round:
    loop = asyncio.get_running_loop()
    began, processor = time.perf_counter(), time.process_time()
    shared = _Load(began + seconds, open=connections)
    loop.set_exception_handler(lambda _, told: shared.end(told.get("exception") or RuntimeError(told["message"])))
    made: list[asyncio.BaseTransport] = []
    try:
        for number in range(connections):
            first = number % len(requests)
            connection = partial(_Connection, shared, [*requests[first:], *requests[:first]])
            made.append((await loop.create_connection(connection, "127.0.0.1", port))[0])
        await asyncio.wait_for(shared.done.wait(), seconds + _FAILED_SECONDS)
        round = Round(shared.latencies, time.perf_counter() - began, time.process_time() - processor, shared.answer)
    finally:
        for transport in made:
            transport.close()
    if shared.error:
        raise shared.error
    return round
