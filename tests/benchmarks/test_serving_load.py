"""The load that the serving benchmark puts on servers: what it counts, and what ends it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from benchmarks.serving_load import Refused, load
from benchmarks.serving_requests import PLAIN, V2_BINARY

# More than a socket gives at once.
LARGE = 4_000_000
ROWS = np.array([[0.5, 2.0]])


class Server(ThreadingHTTPServer):
    """Answers every request with the same, and keeps what it was asked."""

    daemon_threads = True
    status, body = 200, b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.server.asked.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)
        self.close_connection = not self.server.body

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(status: int, body: bytes) -> Iterator[Server]:
    with Server() as server:
        server.status, server.body = status, body
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield server
        finally:
            server.shutdown()


def test_each_answer_counts_once_however_many_pieces_it_comes_in() -> None:
    with serving(200, b"x" * LARGE) as server:
        round = load(server.server_port, [PLAIN.write("/", ROWS)], connections=3, seconds=0.05)

        assert len(round.latencies) == len(server.asked) >= 3
        assert round.answer.endswith(b"x" * LARGE)
        assert json.loads(server.asked[0]) == {"rows": [[0.5, 2.0]]}


def test_an_answer_that_is_not_200_ends_the_load() -> None:
    with serving(503, b"busy") as server, pytest.raises(Refused, match="busy") as refused:
        load(server.server_port, [PLAIN.write("/", ROWS)], connections=2, seconds=60)

    assert refused.value.status == 503


def test_a_closed_connection_ends_the_load() -> None:
    with serving(200, b"") as server, pytest.raises(ConnectionError):
        load(server.server_port, [PLAIN.write("/", ROWS)], connections=1, seconds=60)


def test_binary_outputs_are_read_by_their_sizes() -> None:
    labels, probabilities = np.array([7, 1], "<i8"), np.array([[0.25, 0.75], [1, 0]], "<f4")
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": labels.nbytes}},
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [2, 2],
            "parameters": {"binary_data_size": probabilities.nbytes},
        },
    ]
    head = json.dumps({"outputs": outputs}).encode()
    answer = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: %d\r\n\r\n%b" % (len(head), head)

    found = V2_BINARY.answered(answer + labels.tobytes() + probabilities.tobytes())

    assert found == ([7, 1], [[0.25, 0.75], [1, 0]])
