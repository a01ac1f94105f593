"""An alias that moves under load between two API processes: no request fails, none is mixed, none is behind the times."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx2
import pytest

from tests.api.registry import ROWS, checkpoints, delete, job_of, move, named
from tests.api.service import Service, assert_problem
from tests.servers.plain import NOBODY
from tests.servers.processes import free_port, listens, running, wait_until

SWITCHES, CALLERS, BETWEEN = 12, 2, 3
"""Callers of each process, and how many requests each of them makes at least from one switch to the next."""


@pytest.fixture(scope="module")
def other(lasting: Service) -> Iterator[Service]:
    """The same service as another API process answers for it."""
    settings, port = lasting.settings, free_port()
    log = settings.folder / "other.log"
    about = {"DATABASE_URL": settings.database_url, "DATA": settings.folder, "PORT": port, "LOG_LEVEL": "error"}
    environment = {f"TRAINYARD_{name}": str(value) for name, value in about.items()}
    with running([sys.executable, "-m", "trainyard", "api"], log=log, environment=environment) as process:
        wait_until(lambda: listens(port) or process.poll() is not None, seconds=60, what=f"an API, see {log}")
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=NOBODY) as client:
            yield Service(settings, lasting.database, client, lasting.server)


def test_an_alias_that_moves_is_loaded_wherever_its_model_is_asked_for(lasting: Service, other: Service) -> None:
    path = named(lasting, "warm", *checkpoints(lasting, 2))
    move(lasting, path, "default", 1)
    assert lasting.post(f"{path}/predict", ROWS)["version"] == 1
    target = lasting.get(f"{path}/versions/2")["checkpoint"]

    move(other, path, "default", 2)

    application: Any = lasting.server.config.app
    wait_until(lambda: target in application.state.services.predictions.sessions.held(), what="the moved alias in memory")


@dataclass
class Switch:
    """The alias `default`: its n-th move is to version 1 + n % 3. Known are the moves that were sent, and those answered."""

    path: str
    sent: int = 0
    answered: int = 0

    @property
    def version(self) -> int:
        """Where the last move sent it."""
        return 1 + self.sent % 3

    def turn(self, service: Service) -> None:
        """Move it on."""
        self.sent += 1
        move(service, self.path, "default", self.version)
        self.answered = self.sent


@dataclass
class Caller:
    """Predicts again and again with the default; notes each answer with the versions that it may be of."""

    client: httpx2.Client
    switch: Switch
    stop: Event
    answers: list[tuple[httpx2.Response, set[int]]] = field(default_factory=list)

    def call(self) -> None:
        """Until it is stopped."""
        while not self.stop.is_set():
            first = self.switch.answered
            answer = self.client.post(f"{self.switch.path}/predict", json=ROWS)
            self.answers.append((answer, {1 + move % 3 for move in range(first, self.switch.sent + 1)}))


@contextmanager
def load(services: list[Service], switch: Switch) -> Iterator[list[Caller]]:
    """Callers of both processes, each on a connection of its own."""
    stop = Event()
    urls = [service.client.base_url for service in services for _ in range(CALLERS)]
    callers = [Caller(httpx2.Client(base_url=url, timeout=30, verify=NOBODY), switch, stop) for url in urls]
    with ThreadPoolExecutor(len(callers)) as pool:
        calls: list[Future[None]] = [pool.submit(caller.call) for caller in callers]
        try:
            yield callers
        finally:
            stop.set()
        for call in calls:
            call.result(30)
    for caller in callers:
        caller.client.close()


def wait_for_more(callers: list[Caller]) -> None:
    """Every caller gets some more answers."""
    enough = [len(caller.answers) + BETWEEN for caller in callers]
    wait_until(lambda: all(len(caller.answers) >= most for caller, most in zip(callers, enough, strict=True)))


def test_an_alias_switches_under_load_at_once_for_all_and_what_it_left_may_be_deleted(lasting: Service, other: Service) -> None:
    [left], ids = checkpoints(lasting, 1), checkpoints(lasting, 2)
    path = named(lasting, "switched", ids[0], ids[1], left)
    whole = {version: lasting.post(f"{path}/versions/{version}/predict", ROWS) for version in (1, 2, 3)}
    switch = Switch(path)

    with load([lasting, other], switch) as callers:
        for number in range(SWITCHES + 1):  # the last one leaves version 3 for the first
            wait_for_more(callers)
            switch.turn((lasting, other)[number % 2])
        gone = [delete(other, what) for what in (f"{path}/versions/3", job_of(lasting, left))]
        afterwards = [one.client.post(f"{path}/versions/3/predict", json=ROWS) for one in (lasting, other)]
        wait_for_more(callers)

    assert gone == [204, 204]
    for refused in afterwards:
        assert_problem(refused, 404, "not_found")
    answers = [answer for caller in callers for answer in caller.answers]
    assert {answer.status_code for answer, _ in answers} == {200}
    for answer, allowed in answers:
        told: dict[str, Any] = answer.json()
        assert told["version"] in allowed
        assert told == whole[told["version"]]
    assert {answer.json()["version"] for answer, _ in answers} == {1, 2, 3}


def test_a_deleted_job_predicts_nowhere_from_then_on_though_every_process_has_it_in_memory(
    lasting: Service, other: Service
) -> None:
    [checkpoint] = checkpoints(lasting, 1)
    job = job_of(lasting, checkpoint)
    for one in (lasting, other):
        one.post(f"{job}/predict", ROWS)

    assert delete(lasting, job) == 204

    assert_problem(other.client.post(f"{job}/predict", json=ROWS), 404, "not_found")
    assert_problem(other.client.post(f"{job}/predict?checkpoint={checkpoint}", json=ROWS), 404, "not_found")
