"""Jobs that misbehave: each ends by itself with a reason, and neither its worker nor its neighbours end with it."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.invariants import check
from tests.faults.subject import SLOW, Subject, kill
from tests.servers.processes import wait_until
from trainyard import Client

SHORT = {**SLOW, "epochs": 30}


def told(served: Subject, client: Client, loss: str, iris: str, **changes: object) -> tuple[str, str]:
    """How a job with that loss ends while another one beside it succeeds."""
    bad = served.submit(client, {**SHORT, "loss": {"name": f"custom:{loss}"}, "dataset": iris, **changes})
    good = served.submit(client, {**SHORT, "dataset": iris, **changes})
    ended, beside = served.settle(client, [bad, good], seconds=120)
    assert beside["status"] == "succeeded"
    check(served.record())
    return ended["status"], str(ended["stop_reason"])


def test_a_job_that_asks_for_more_memory_than_there_is_fails_alone(served: Subject, client: Client, iris: str) -> None:
    before = served.training()

    assert told(served, client, "greedy", iris) == ("failed", "out_of_memory")

    assert before.keys() & served.training().keys()  # a process that is short of memory may be replaced, the other stays
    assert all(served.parts.parts[name].poll() is None for name in served.workers)


def test_a_loss_that_is_no_number_from_some_epoch_on_ends_its_job_there(served: Subject, client: Client, iris: str) -> None:
    assert told(served, client, "diverging", iris) == ("failed", "non_finite_loss")


def test_a_job_that_always_kills_its_process_fails_after_three_of_them(served: Subject, client: Client, iris: str) -> None:
    assert told(served, client, "suicidal", iris) == ("failed", "worker_lost")

    assert all(served.parts.parts[name].poll() is None for name in served.workers)


def test_a_process_that_has_no_memory_left_at_all_ends_and_does_not_end_its_parent() -> None:
    starved = (
        "import os, worker.wiring, worker.tasks\n"
        "class Starved:\n"
        "    def work_off(self, *, hint): raise MemoryError\n"
        "worker.wiring._trainers[os.getpid()] = Starved()\n"
        "worker.tasks.train('job_none')\n"
    )

    ended = subprocess.run([sys.executable, "-c", starved], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert "process.out_of_memory" in ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.fixture
def unsaved(served: Subject) -> Iterator[Subject]:
    """The service with workers that write no recovery point before the end: a crash finds no progress."""
    stop_workers(served)
    for name in served.workers:
        served.start_worker(name, TRAINYARD_CHECKPOINT_SECONDS="600")
    served.wait_until_warm()
    yield served
    stop_workers(served)


def stop_workers(served: Subject) -> None:
    for name in served.workers:
        kill(served.parts.parts[name].pid, signal.SIGTERM)
        served.parts.parts[name].wait(timeout=60)


@pytest.mark.faults
def test_a_job_that_kills_its_pack_does_not_fail_its_neighbours(unsaved: Subject, client: Client, iris: str) -> None:
    spec = {**SHORT, "dataset": iris, "pack": True, "loss": {"name": "custom:late"}}
    blocked = [unsaved.submit(client, {**SLOW, "dataset": iris, "epochs": 10_000}) for _ in unsaved.workers]
    wait_until(lambda: len(unsaved.running(most_crashes=0)) == len(blocked), what="busy workers")
    ids = [unsaved.submit(client, {**spec, "epochs": epochs}) for epochs in (2, 2, 30)]
    for job in blocked:
        client.cancel(job)

    ended = unsaved.settle(client, ids, seconds=200)

    assert ended[-1]["stop_reason"] == "worker_lost"
    assert [job["status"] for job in ended[:-1]] == ["succeeded"] * 2
    assert all(job["attempt"] > 1 for job in ended)
    check(unsaved.record())


@pytest.mark.faults
def test_a_step_that_never_ends_is_given_up_after_three_processes(unsaved: Subject, client: Client, iris: str) -> None:
    assert told(unsaved, client, "endless", iris) == ("failed", "worker_lost")
