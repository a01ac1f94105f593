"""The doorbell on a real Valkey: it is heard, and nobody waits for it."""

from pathlib import Path

import redis

from app.queueing.celery import Doorbell
from tests.servers.processes import wait_until


def test_a_ring_arrives_on_the_queue_of_its_device(valkey_url: str) -> None:
    doorbell = Doorbell(valkey_url)

    for device in ("auto", "cpu", "cuda"):
        doorbell.ring("job_1", device)

    with redis.Redis.from_url(valkey_url) as client:
        wait_until(lambda: (client.llen("cpu"), client.llen("gpu")) == (2, 1))
    doorbell.close()


def test_a_broker_that_is_not_there_stops_nobody(tmp_path: Path) -> None:
    doorbell = Doorbell(f"redis+socket://{tmp_path}/nobody.sock")

    for _ in range(100):
        doorbell.ring("job_1", "auto")

    assert not doorbell.check()
    doorbell.close()


def test_a_broker_that_answers_is_seen(valkey_url: str) -> None:
    doorbell = Doorbell(valkey_url)

    assert doorbell.check()
    doorbell.close()
