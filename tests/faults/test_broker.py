"""The broker is a doorbell: dead, wiped, frozen, lying or stammering it changes nothing but the time at which a job begins."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from app.queueing.celery import make_celery
from app.queueing.names import CPU_QUEUE, TASK
from tests.faults.invariants import check
from tests.faults.soak import forged
from tests.faults.subject import SPEC, Subject, kill_group
from tests.servers.plain import NOBODY
from trainyard import Client

QUICK = {**SPEC, "epochs": 60}


def test_fifty_duplicate_messages_train_a_job_once(served: Subject, client: Client, iris: str) -> None:
    job = served.submit(client, {**QUICK, "dataset": iris})
    celery = make_celery(f"redis://127.0.0.1:{served.broker_port}/0")
    for _ in range(50):
        celery.send_task(TASK, args=[job], queue=CPU_QUEUE, retry=False, ignore_result=True)
    celery.close()

    [ended] = served.settle(client, [job])

    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    check(served.record())


def test_forged_messages_change_no_job_and_the_next_ones_are_trained(served: Subject, client: Client, iris: str) -> None:
    first = served.submit(client, {**QUICK, "dataset": iris})
    served.did("forged messages")
    forged(served)
    served.settle(client, [first])
    served.heal()  # garbage ends a worker, and whatever watches over processes starts it again

    [ended] = served.settle(client, [served.submit(client, {**QUICK, "dataset": iris})])

    assert ended["status"] == "succeeded"
    check(served.record())


def test_while_the_broker_is_frozen_jobs_are_accepted_at_once_and_trained_later(
    served: Subject, client: Client, iris: str
) -> None:
    served.did("the broker goes dark")
    served.proxy.go_dark()
    with Client(served.url, timeout=5) as hurried:
        ids = [served.submit(hurried, {**QUICK, "dataset": iris}) for _ in range(20)]
    ready = httpx2.get(f"{served.url}/readyz", timeout=30, verify=NOBODY)
    served.proxy.come_back()

    ended = served.settle(client, ids)

    assert (ready.status_code, ready.json()["queue"]) == (200, "degraded")
    assert {job["status"] for job in ended} == {"succeeded"}
    check(served.record())


def wipe(served: Subject) -> None:
    served.did("the broker is wiped")
    kill_group(served.parts.parts["broker"])
    served.start_broker()


def test_jobs_outlive_a_broker_that_dies_and_comes_back_empty(served: Subject, client: Client, iris: str) -> None:
    before = [served.submit(client, {**QUICK, "dataset": iris}) for _ in range(3)]
    wipe(served)
    after = [served.submit(client, {**QUICK, "dataset": iris}) for _ in range(3)]

    assert {job["status"] for job in served.settle(client, before + after)} == {"succeeded"}
    check(served.record())


@pytest.mark.faults
def test_sixty_jobs_outlive_six_wiped_brokers(served: Subject, client: Client, iris: str) -> None:
    ids = []
    for _ in range(6):
        with ThreadPoolExecutor(5) as pool:
            ids += list(pool.map(lambda _: served.submit(client, {**QUICK, "dataset": iris}), range(10)))
        wipe(served)

    assert {job["status"] for job in served.settle(client, ids, seconds=300)} == {"succeeded"}
    check(served.record())


@pytest.mark.faults
def test_jobs_are_trained_though_no_message_ever_arrives(served: Subject, client: Client, iris: str) -> None:
    served.did("the broker goes dark")
    served.proxy.go_dark()
    job = served.submit(client, {**QUICK, "dataset": iris})

    try:
        served.settle(client, [job], seconds=25)
    finally:
        served.heal()


def test_a_cancel_works_while_the_broker_is_dead(served: Subject, client: Client, iris: str) -> None:
    job = served.submit(client, {**QUICK, "epochs": 1_000_000, "dataset": iris})
    served.wait_for_epoch(job, 1)
    served.did("the broker is killed")
    kill_group(served.parts.parts["broker"])

    client.cancel(job)
    [ended] = served.settle(client, [job])

    assert ended["stop_reason"] == "cancelled"
    served.heal()
    check(served.record())
