"""Requests that are answered where they are read, and all that looks like one and is not: sent as bytes."""

import asyncio
import gzip
import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from app.api.at_once import AT_ONCE, AtOnce
from app.api.edge import ASK_AGAIN_SECONDS
from app.api.protocol import Protocol
from app.api.replies import Reply
from app.domain.allowance import Allowance
from app.domain.caller import DEFAULT_PROJECT, Caller
from app.persistence import jobs
from app.queueing.counted_ahead import PART
from app.queueing.rates import RedisRates
from app.services.choices import BEST, Thing
from tests.api.keys import locked_service, make
from tests.api.metrics import samples, value
from tests.api.service import Service, Trained
from tests.api.wire import Connection, connection, post
from tests.servers.processes import wait_until
from tests.serving.checkpoints import files
from tests.serving.test_formats import COLUMNS, ONE

BODY = json.dumps({"rows": ONE.to_dicts()}).encode()
PREDICT = "/predict"


def ready(service: Service) -> str:
    """Predicts with a job's checkpoint, which is in memory."""
    service.submit(priority=100)
    worker = Trained(service)
    worker.checkpoint(5, "best", files=files(COLUMNS, seed=1).content)
    path = f"/v1/jobs/{worker.job.id}/predict"
    assert service.client.post(path, content=BODY, headers={"Content-Type": "application/json"}).status_code == 200
    return path


@pytest.fixture(scope="module")
def path(shared: Service) -> str:
    return ready(shared)


@pytest.fixture
def wire(shared: Service) -> Any:
    with connection(shared.client) as made:
        yield made


@pytest.fixture(scope="module")
def expected(shared: Service, path: str) -> bytes:
    """By way of the framework, to which every query goes."""
    answer = shared.client.post(f"{path}?checkpoint=best", content=BODY, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    return answer.content


def on_the_loop(service: Service, function: Callable[[], Any]) -> Any:
    """What a function says that is called on the server's loop."""
    found: Future[Any] = Future()
    loop: asyncio.AbstractEventLoop = service.server.servers[0].get_loop()
    loop.call_soon_threadsafe(lambda: found.set_result(function()))
    return found.result(30)


def test_what_may_be_answered_at_once_is(shared: Service, path: str, expected: bytes) -> None:
    at_once: AtOnce = shared.server.lifespan.state[AT_ONCE]
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    scope = {"headers": headers, "client": ("127.0.0.1", 1)}
    shared.get("/v1/jobs")  # that there is no key was looked up just now

    def answer() -> Reply | None:
        begun = at_once.begin(b"POST", path.encode(), scope)
        assert begun is not None
        return at_once.answer(begun, BODY)

    assert on_the_loop(shared, answer).body == expected


def test_it_has_the_body_and_the_headers_that_the_framework_gives(path: str, wire: Connection) -> None:
    wire.send(post(path, BODY, X_Request_ID="mine"))
    short = wire.answer()
    wire.send(post(f"{path}?checkpoint=best", BODY, X_Request_ID="mine"))
    long = wire.answer()

    assert short.status == 200
    assert (short.body, {**short.headers, "date": ""}) == (long.body, {**long.headers, "date": ""})


def test_a_body_may_come_in_pieces(shared: Service, path: str, wire: Connection, expected: bytes) -> None:
    request = post(path, BODY)
    for end in (20, len(request) - len(BODY), len(request) - 5):
        wire.send(request[:end])
        shared.get("/livez")  # its answer tells that the server has read what came before
        wire.send(request[end:])

        assert wire.answer().body == expected


@pytest.mark.parametrize("megabytes", [1, 3, 5])
def test_a_body_may_be_large(path: str, wire: Connection, expected: bytes, megabytes: int) -> None:
    wire.send(post(path, BODY + b" " * (megabytes << 20)))

    assert wire.answer().body == expected


def test_a_request_that_has_begun_is_answered_though_the_server_ends(small: Service) -> None:
    request = post(ready(small), BODY)
    with connection(small.client) as wire:
        wire.send(request[:-5])
        small.get("/livez")
        small.server.should_exit = True
        wait_until(lambda: not is_listening(small))
        wire.send(request[-5:])

        assert wire.answer().status == 200
        assert wire.is_closed()


def test_what_was_deleted_before_a_request_was_sent_does_not_answer_it(small: Service) -> None:
    """Also where a look at the database in the same turn of the loop told that nothing had changed."""
    path = ready(small)
    id = path.split("/")[3]
    application: Any = small.server.config.app

    def send_behind_a_deletion(wire: Connection) -> bool:
        known = application.state.services.choices.known(Caller(), Thing("job", id, BEST)) is not None
        with small.database.write() as connection:
            job = jobs.find(connection, id, project_id=DEFAULT_PROJECT)
            assert job is not None
            jobs.remove(connection, job.number)
        wire.send(post(path, BODY))
        return known

    with connection(small.client) as made:
        assert on_the_loop(small, lambda: send_behind_a_deletion(made))
        assert made.answer().status == 404


def test_a_caller_is_judged_anew_where_the_body_takes_long(shared: Service, path: str) -> None:
    at_once: AtOnce = shared.server.lifespan.state[AT_ONCE]
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    shared.get("/v1/jobs")

    def answers() -> list[bool]:
        begun = at_once.begin(b"POST", path.encode(), {"headers": headers, "client": ("127.0.0.1", 1)})
        assert begun is not None
        return [at_once.answer(begun._replace(at=begun.at - ago), BODY) is not None for ago in (0, ASK_AGAIN_SECONDS)]

    assert on_the_loop(shared, answers) == [True, False]


def test_a_slow_answer_behind_a_quick_one_is_not_cut_off(shared: Service, path: str, wire: Connection) -> None:
    stream = f"GET {path.removesuffix('/predict')}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    wire.send(post(path, BODY) + stream)
    assert [wire.answer().status for _ in range(2)] == [200, 200]

    def timers() -> list[bool]:
        all_of_them = [one for one in shared.server.server_state.connections if isinstance(one, Protocol)]
        answered_now = [one for one in all_of_them if one.cycle and not one.cycle.response_complete]
        return [one.timeout_keep_alive_task is not None for one in answered_now]

    assert on_the_loop(shared, timers) == [False]


def test_who_leaves_before_the_end_of_a_body_is_counted(shared: Service, path: str) -> None:
    labels = {"method": "POST", "route": "/v1/jobs/{job_id}/predict", "status": "none"}

    def left() -> float:
        return value(samples(shared.client.get("/metrics")), "requests_total", **labels)

    before = left()
    with connection(shared.client) as made:
        made.send(post(path, BODY)[:-5])
        shared.get("/livez")

    wait_until(lambda: left() > before, what="a request without an answer among the counted")


@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_counted_once(shared: Service, path: str, wire: Connection, packed: bool) -> None:
    """Plainly where they are answered at once; compressed they go by way of the framework."""

    def rows() -> float:
        return value(samples(shared.client.get("/metrics")), "predicted_rows_total")

    before = rows()
    wire.send(post(path, gzip.compress(BODY), Content_Encoding="gzip") if packed else post(path, BODY))

    assert wire.answer().status == 200
    assert rows() == before + len(ONE)


def is_listening(service: Service) -> bool:
    try:
        with connection(service.client):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("padding", [0, 100_000])
def test_requests_in_one_piece_are_answered_in_their_order(path: str, wire: Connection, padding: int) -> None:
    """A large one takes its turn; what came behind it waits."""
    get = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: 2\r\n\r\n"
    body = BODY + b" " * padding
    wire.send(post(path, body, X_Request_ID="1") + get)
    wire.send(post(path, body, X_Request_ID="3") + post(path, BODY, X_Request_ID="4"))

    answers = [wire.answer() for _ in range(4)]

    assert [(answer.status, answer.headers["x-request-id"]) for answer in answers] == [(200, str(n)) for n in range(1, 5)]
    assert [answer.json()["object"] for answer in answers] == ["prediction", "list", "prediction", "prediction"]


@pytest.mark.parametrize(("version", "headers"), [("1.0", {}), ("1.1", {"Connection": "close"})])
def test_a_connection_that_is_not_kept_is_closed_behind_the_answer(
    path: str, wire: Connection, expected: bytes, version: str, headers: dict[str, str]
) -> None:
    wire.send(post(path, BODY, version=version, **headers))

    assert wire.answer().body == expected
    assert wire.is_closed()


def test_a_body_in_chunks_has_no_length(path: str, wire: Connection, expected: bytes) -> None:
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    wire.send(post(path, b"", Content_Length="", Transfer_Encoding="chunked") + chunks)

    assert wire.answer().body == expected


def test_who_asks_whether_to_go_on_is_told_so(path: str, wire: Connection, expected: bytes) -> None:
    request = post(path, BODY, Expect="100-continue")
    wire.send(request[: -len(BODY)])
    assert wire.answer().status == 100
    wire.send(BODY)

    assert wire.answer().body == expected


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"rows": []}', b'{"rows": [[1]]}', b'{"rows": [{}], "more": 1}'])
@pytest.mark.parametrize("padding", [0, 100_000])
def test_faults_are_those_of_the_framework(path: str, wire: Connection, body: bytes, padding: int) -> None:
    body += b" " * padding
    wire.send(post(path, body, X_Request_ID="mine"))
    short = wire.answer()
    wire.send(post(f"{path}?checkpoint=best", body, X_Request_ID="mine"))

    assert short.status in (400, 422)
    assert short.body == wire.answer().body.replace(b"?checkpoint=best", b"")


@pytest.mark.parametrize(
    "other", ["/v1/jobs/job_none/predict", "/v1/predict", "/v1/models/none/predict", "/v2/models/none/infer"]
)
def test_what_is_not_there_is_not_found(wire: Connection, other: str) -> None:
    wire.send(post(other, BODY))

    assert wire.answer().status == 404


def test_another_method_is_not_allowed(path: str, wire: Connection) -> None:
    wire.send(post(path, BODY).replace(b"POST", b"PUT", 1))

    assert wire.answer().status == 405


def test_another_host_has_no_access(path: str, wire: Connection) -> None:
    wire.send(post(path, BODY, Host="trainyard.example"))
    assert wire.answer().status == 403
    wire.send(post(path, BODY, X_Forwarded_For="192.0.2.1"))
    assert wire.answer().status == 403


def test_what_is_no_http_is_refused_and_closed(path: str, wire: Connection) -> None:
    wire.send(post(path, BODY) + b"no request\r\n\r\n")

    assert [wire.answer().status for _ in range(2)] == [200, 400]
    assert wire.is_closed()


def test_a_key_whose_requests_are_counted_is_answered_at_once(sqlite_url: str, valkey_url: str, tmp_path: Path) -> None:
    with locked_service(sqlite_url, tmp_path / "data", broker=valkey_url, rate_limit=8 * PART) as service:
        secret, path = make(service)["secret"], ready(service)
        ask = post(path, BODY, Authorization=f"Bearer {secret}")
        with connection(service.client) as wire:
            answers = []
            for _ in range(10):
                wire.send(ask)
                answers.append(wire.answer())
        taken = on_the_loop(service, lambda: taken_at_once(service, path, secret))

    assert {answer.status for answer in answers} == {200}
    remaining = [int(answer.headers["ratelimit-remaining"]) for answer in answers]
    assert remaining == sorted(remaining, reverse=True)
    assert all(answer.headers.keys() == answers[0].headers.keys() for answer in answers)
    assert taken == [b"ratelimit-remaining"]


def taken_at_once(service: Service, path: str, secret: str) -> list[bytes]:
    """Where a request was counted before it came; its answer tells it."""
    at_once: AtOnce = service.server.lifespan.state[AT_ONCE]
    headers = [(b"content-length", b"%d" % len(BODY)), (b"content-type", b"application/json")]
    scope = {"headers": [*headers, (b"authorization", f"Bearer {secret}".encode())], "client": ("127.0.0.1", 1)}
    application: Any = service.server.config.app
    rates: RedisRates = application.state.services.rates
    rates._ahead.put(DEFAULT_PROJECT, Allowance(allowed=True, limit=9, window=60, remaining=9, reset=1), size=1)
    begun = at_once.begin(b"POST", path.encode(), scope)
    assert begun is not None
    reply, none = at_once.answer(begun, BODY), at_once.answer(begun, BODY)
    assert none is None
    assert reply is not None
    return [name for name, value in reply.raw_headers if name == b"ratelimit-remaining" and value == b"9"]
