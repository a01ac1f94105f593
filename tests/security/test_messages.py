"""Whoever can write to the broker can ring, and nothing else: forged and garbage messages to a real worker."""

import base64
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import redis

from app.queueing.names import CPU_QUEUE, TASK
from app.settings import Settings
from app.upkeep.valkey import find_server
from tests.servers.missing import missing
from tests.servers.plain import NOBODY
from tests.servers.processes import wait_until
from tests.servers.service import Service, embedded
from trainyard import Client

SPEC = {"target": "species", "network": {"hidden_layers": [4]}, "epochs": 20, "batch_size": 50}


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]  # pickle calls what it is told to


def envelope(body: bytes, *, task: str = TASK, type: str = "application/json") -> bytes:
    """A message as Celery writes it to its list."""
    id = str(uuid4())
    delivery = {"exchange": "", "routing_key": CPU_QUEUE}
    properties = {"correlation_id": id, "delivery_info": delivery, "delivery_tag": id, "body_encoding": "base64", "priority": 0}
    headers = {"lang": "py", "task": task, "id": id, "root_id": id, "parent_id": None, "retries": 0}
    message = {"body": base64.b64encode(body).decode(), "content-encoding": "utf-8", "content-type": type}
    return json.dumps({**message, "headers": headers, "properties": properties}).encode()


def call(*args: object, task: str = TASK, **named: object) -> bytes:
    """A call of a task."""
    return envelope(json.dumps([args, named, {}]).encode(), task=task)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own: its worker may be ended by what it reads."""
    if find_server() is None:
        missing("Valkey")
    with embedded(tmp_path_factory.mktemp("messages") / "data") as started:
        yield started


@pytest.fixture
def broker(service: Service) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=str(Settings(data=service.folder).socket)) as opened:
        yield opened


def trains(client: Client) -> bool:
    """Whether a new job comes to its end."""
    job = client.submit({"dataset": client.sample("iris")["id"], **SPEC})["id"]
    return client.wait(job, timeout=120)["status"] == "succeeded"


def test_no_message_changes_a_job_runs_other_code_or_ends_the_service(
    service: Service, client: Client, broker: redis.Redis, tmp_path: Path
) -> None:
    paused = client.submit({"dataset": client.sample("iris")["id"], **SPEC, "epochs": 10_000_000})["id"]
    httpx2.post(f"{service.url}/v1/jobs/{paused}/pause", verify=NOBODY).raise_for_status()
    wait_until(lambda: client.job(paused)["status"] == "paused", seconds=60, what="the pause")
    before, mark = client.job(paused), tmp_path / "unpickled"
    forged = [
        *[call(paused)] * 50,
        call(paused, status="succeeded"),
        call(),
        call(1, 2, 3),
        call({"job_id": paused, "status": "cancelled"}),
        call("../../etc/passwd"),
        call("x" * (5 << 20)),
        call(paused, task="trainyard.cancel"),
        call("touch", task="os.system"),
        call({"task": TASK}, [["x"]], task="celery.map"),
        envelope(pickle.dumps(([Touch(mark)], {}, {})), type="application/x-python-serialize"),
        envelope(pickle.dumps(Touch(mark)), type="application/json"),
        envelope(b"[[[[", type="application/json"),
        envelope(b"a: !!python/object/apply:os.system ['true']", type="application/x-yaml"),
    ]

    broker.lpush(CPU_QUEUE, *forged)

    assert trains(client)
    wait_until(lambda: broker.llen(CPU_QUEUE) == 0, seconds=60, what="all messages to be read")
    assert trains(client)
    assert client.job(paused) == before
    assert not mark.exists()


@pytest.mark.parametrize("garbage", [b"\x80\xff not JSON", b"{}"], ids=["bytes", "nothing"])
def test_after_garbage_the_worker_is_there_again(client: Client, broker: redis.Redis, garbage: bytes) -> None:
    broker.lpush(CPU_QUEUE, garbage)

    assert trains(client)
