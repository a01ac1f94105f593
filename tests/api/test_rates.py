"""Requests are counted by project over all API processes; without Redis everybody is let in, and nobody waits."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from app.queueing.rates import RedisRates
from tests.api.keys import bearer, locked_service, make
from tests.api.service import NO_BROKER, Service, assert_problem

MOST = 20


@pytest.fixture
def two(sqlite_url: str, valkey_url: str, tmp_path: Path) -> Iterator[list[Service]]:
    """Two API processes of one service."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(locked_service(sqlite_url, tmp_path / "data", broker=valkey_url, rate_limit=MOST))
            for _ in range(2)
        ]


def test_processes_count_together_and_say_how_many_are_left(two: list[Service]) -> None:
    keys = [make(two[0], project="a")["secret"] for _ in range(2)]

    answers = [two[n % 2].client.get("/v1/jobs", headers=bearer(keys[n // 2 % 2])) for n in range(MOST)]
    refused = [service.client.get("/v1/jobs", headers=bearer(keys[0])) for service in two]

    assert {answer.status_code for answer in answers} == {200}
    assert [int(answer.headers["ratelimit-remaining"]) for answer in answers] == list(range(MOST))[::-1]
    for answer in refused:
        assert_problem(answer, 429, "rate_limited")
        assert answer.headers["ratelimit-limit"] == str(MOST)
        assert answer.headers["ratelimit-policy"] == f"{MOST};w=60"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"]


def test_one_project_s_requests_are_not_another_s_and_the_operator_s_are_not_counted(two: list[Service]) -> None:
    busy, quiet = (make(two[0], project=name)["secret"] for name in ("busy", "quiet"))
    for _ in range(MOST + 1):
        last = two[0].client.get("/v1/jobs", headers=bearer(busy))

    other, operator, probe = (
        two[1].client.get(path, headers=headers)
        for path, headers in (("/v1/jobs", bearer(quiet)), ("/v1/jobs", {}), ("/livez", bearer(busy)))
    )

    assert (last.status_code, other.status_code) == (429, 200)
    assert (operator.status_code, "ratelimit-limit" in operator.headers) == (200, False)
    assert probe.status_code == 200


def test_without_redis_nobody_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    with locked_service(sqlite_url, tmp_path / "data", broker=NO_BROKER, rate_limit=1) as service:
        secret = make(service)["secret"]
        answers = [service.client.get("/v1/jobs", headers=bearer(secret)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert "ratelimit-limit" not in answers[0].headers


def test_a_frozen_redis_is_not_asked_by_each_request() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as frozen:
        frozen.setblocking(False)

        asyncio.run(ask(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0", times=20))

        tries = sum(1 for _ in accepted(frozen))
    assert 1 <= tries < 10


def accepted(server: socket.socket) -> Iterator[None]:
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            yield


async def ask(url: str, *, times: int) -> None:
    counter = RedisRates(url, per_minute=1)
    assert [await counter.take("a") for _ in range(times)] == [None] * times
    await counter.close()
