"""Processes that die at any moment of a training: SIGKILL of the training process, of its whole worker, of its parent alone."""

import pytest

from tests.faults.invariants import check
from tests.faults.subject import SLOW, Subject, kill, kill_group
from tests.servers.processes import wait_until
from trainyard import Client

EPOCHS, KILLS = 40, 20
LONG = {**SLOW, "batch_size": 2, "epochs": EPOCHS}


@pytest.mark.faults
def test_forty_epochs_through_twenty_kills_are_there_once_each_with_the_same_bits(served: Subject, client: Client) -> None:
    dataset = client.sample("iris")["id"]
    undisturbed = served.submit(client, {**LONG, "dataset": dataset})
    served.settle(client, [undisturbed])
    job = served.submit(client, {**LONG, "dataset": dataset}, like=undisturbed)

    for number in range(KILLS):
        served.wait_for_epoch(job, number * 2 - 1)
        kill_trainer(served, job, whole_worker=number % 2 == 1)

    [ended] = served.settle(client, [job])
    assert (ended["status"], ended["attempt"]) == ("succeeded", KILLS + 1)
    assert client.history(job)["epoch"] == list(range(1, EPOCHS + 1))
    check(served.record())


def kill_trainer(served: Subject, job: str, *, whole_worker: bool) -> None:
    """Kill the process that trains a job, or its worker with all that it started, which is then started again."""
    pid = served.trainer_of(job)
    assert pid is not None
    worker = served.training()[pid]
    served.did(f"SIGKILL of the {'worker' if whole_worker else 'process'}", job=job)
    if whole_worker:
        kill_group(served.parts.parts[worker])
        served.start_worker(worker)
    else:
        kill(pid)
    wait_until(lambda: served.trainer_of(job) not in (pid, None), seconds=60, what="another attempt")
