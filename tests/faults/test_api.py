"""The API dies between any two of its words: what it accepted is done once, and who listened hears the rest."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.faults.invariants import check
from tests.faults.subject import SLOW, SPEC, Subject, kill_group
from tests.faults.test_kills import kill_trainer
from tests.servers.plain import NOBODY
from trainyard import Client

QUICK = {**SPEC, "epochs": 60}


def restart(served: Subject) -> None:
    served.did("SIGKILL of the API")
    kill_group(served.parts.parts["api"])
    served.start_api()


def test_a_job_that_nobody_was_told_of_is_trained(served: Subject, client: Client, iris: str) -> None:
    served.proxy.go_dark()  # the ring does not leave the API
    job = served.submit(client, {**QUICK, "dataset": iris})
    restart(served)
    served.proxy.come_back()

    [ended] = served.settle(client, [job])

    assert ended["status"] == "succeeded"
    check(served.record())


def test_twenty_submits_with_one_key_while_the_api_dies_make_one_job(served: Subject, client: Client, iris: str) -> None:
    spec = {**QUICK, "dataset": iris, "name": "asked with one key"}

    def submit(_: int) -> str | None:
        try:
            answer = httpx2.post(
                f"{served.url}/v1/jobs", json=spec, headers={"Idempotency-Key": "one"}, timeout=20, verify=NOBODY
            )
        except httpx2.TransportError:
            return None
        return answer.json()["id"] if answer.status_code == 201 else None

    with ThreadPoolExecutor(5) as pool:
        before = pool.map(submit, range(10))
        restart(served)  # by this thread: a process ends with the thread that started it
        ids = {id for id in [*before, *pool.map(submit, range(10))] if id}

    assert len(ids) <= 1
    served.accepted.extend(ids)
    served.settle(client, list(ids))
    check(served.record())


@pytest.mark.faults
def test_a_stream_over_a_dead_worker_and_a_dead_api_has_every_epoch_once(served: Subject, client: Client, iris: str) -> None:
    job = served.submit(client, {**SLOW, "epochs": 120, "dataset": iris})
    heard: list[int] = []
    for columns in client.follow(job):
        if len(heard) < 20 <= len(heard) + len(columns["epoch"]):
            kill_trainer(served, job, whole_worker=False)
        if len(heard) < 60 <= len(heard) + len(columns["epoch"]):
            restart(served)
        heard += columns["epoch"]

    assert heard == list(range(1, 121))
    check(served.record())


@pytest.mark.faults
def test_a_cancel_works_while_no_worker_is_up(served: Subject, client: Client, iris: str) -> None:
    running = served.submit(client, {**SLOW, "epochs": 10_000, "dataset": iris})
    served.wait_for_epoch(running, 1)
    for name in served.workers:
        kill_group(served.parts.parts[name])
    queued = served.submit(client, {**QUICK, "dataset": iris})

    assert client.cancel(queued)["status"] == "cancelled"
    client.cancel(running)

    assert {job["status"] for job in served.settle(client, [queued, running])} == {"cancelled"}
    check(served.record())
