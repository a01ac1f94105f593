"""HTTP/1.1 byte by byte: what a client library would not send, or not so."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import httpx2


class Answer(NamedTuple):
    """Headers by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Connection:
    """One that is kept."""

    def __init__(self, connected: socket.socket, stream: BinaryIO) -> None:
        self._socket, self._stream = connected, stream

    def send(self, data: bytes) -> None:
        """As one piece."""
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """The next one, with a declared length."""
        return read_answer(self._stream)

    def is_closed(self) -> bool:
        """Waits for the server: True where it closes, False where it says something more."""
        return self._stream.read(1) == b""


@contextmanager
def connection(client: httpx2.Client) -> Iterator[Connection]:
    """To the server of that client."""
    host, port = client.base_url.host, client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=30) as connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connected.makefile("rb") as stream:
            yield Connection(connected, stream)


def post(path: str, body: bytes, *, version: str = "1.1", **headers: str) -> bytes:
    """A request; `_` stands for `-` in the names of headers."""
    told = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/{version}", *(f"{name}: {value}" for name, value in told.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_answer(stream: BinaryIO) -> Answer:
    """From where the stream stands."""
    status = int(stream.readline().split()[1])
    headers = {}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Answer(status, headers, stream.read(int(headers.get("content-length", 0))))
