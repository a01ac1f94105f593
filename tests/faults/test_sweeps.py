"""A sweep through the death of its processes: every trial is there once, and ends."""

import pytest

from tests.faults.invariants import check
from tests.faults.subject import SLOW, Subject, kill
from tests.servers.processes import wait_until
from trainyard import Client


@pytest.mark.faults
def test_a_sweep_whose_trials_lose_their_processes_ends_whole(served: Subject, client: Client, iris: str) -> None:
    spec = {**SLOW, "epochs": 40, "pack": True, "dataset": iris}
    sweep = served.submit_sweep(client, spec, trials=6)
    for _ in range(3):
        wait_until(lambda: bool(served.running(most_crashes=1)), seconds=60, what="a trial to be trained")
        job = served.running(most_crashes=1)[0]
        pid = served.trainer_of(job)
        served.did("SIGKILL of the process", job=job)
        kill(pid or 0)
        wait_until(lambda pid=pid: pid not in served.training(), seconds=60)  # type: ignore[misc]

    ended = client.wait_for_sweep(sweep, timeout=200)

    assert (ended["status"], ended["progress"]["succeeded"]) == ("succeeded", 6)
    check(served.record())
