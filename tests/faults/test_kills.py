"""Processes that die, sleep or are sent away at any moment of a training."""

import signal

import pytest
from sqlalchemy import select

from app.persistence.tables import events, jobs
from tests.faults.invariants import check
from tests.faults.subject import SLOW, Subject, children, kill, kill_group
from tests.servers.processes import wait_until
from trainyard import Client

EPOCHS, KILLS = 40, 20
LONG = {**SLOW, "batch_size": 2, "epochs": EPOCHS}


def undisturbed(served: Subject, client: Client, spec: dict[str, object]) -> str:
    """A job that nothing happens to."""
    id = served.submit(client, spec)
    served.settle(client, [id])
    return id


def told_of(served: Subject, job: str) -> list[str]:
    """What the event log says of a job."""
    with served.database.read() as connection:
        query = select(events.c.type).join(jobs, jobs.c.number == events.c.job_number).where(jobs.c.id == job)
        return list(connection.execute(query.order_by(events.c.sequence)).scalars())


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


@pytest.mark.faults
def test_forty_epochs_through_twenty_kills_are_there_once_each_with_the_same_bits(
    served: Subject, client: Client, iris: str
) -> None:
    spec = {**LONG, "dataset": iris}
    job = served.submit(client, spec, like=undisturbed(served, client, spec))

    for number in range(KILLS):
        served.wait_for_epoch(job, number * 2 - 1)
        kill_trainer(served, job, whole_worker=number % 2 == 1)

    [ended] = served.settle(client, [job])
    assert (ended["status"], ended["attempt"]) == ("succeeded", KILLS + 1)
    assert client.history(job)["epoch"] == list(range(1, EPOCHS + 1))
    check(served.record())


def test_a_worker_that_is_told_to_stop_in_mid_epoch_gives_its_job_back_and_no_crash_is_counted(
    served: Subject, client: Client, iris: str
) -> None:
    spec = {**LONG, "dataset": iris, "epochs": 12}
    job = served.submit(client, spec, like=undisturbed(served, client, spec))
    served.wait_for_epoch(job, 3)
    pid = served.trainer_of(job)
    assert pid is not None
    worker = served.training()[pid]

    served.did("SIGTERM of the worker", job=job)
    served.parts.parts[worker].send_signal(signal.SIGTERM)

    assert served.parts.parts[worker].wait(timeout=30) == 0
    [ended] = served.settle(client, [job])
    told = told_of(served, job)
    assert (ended["status"], told.count("job.yielded"), told.count("job.worker_lost")) == ("succeeded", 1, 0)
    check(served.record())


def test_a_process_that_sleeps_beyond_its_lease_and_wakes_up_writes_nothing(served: Subject, client: Client, iris: str) -> None:
    spec = {**LONG, "dataset": iris, "epochs": 12}
    job = served.submit(client, spec, like=undisturbed(served, client, spec))
    served.wait_for_epoch(job, 3)
    sleeper = served.trainer_of(job)
    assert sleeper is not None

    served.did("SIGSTOP", job=job)
    kill(sleeper, signal.SIGSTOP)
    wait_until(lambda: served.trainer_of(job) not in (sleeper, None), seconds=60, what="another process to take the job")
    served.did("SIGCONT", job=job)
    kill(sleeper, signal.SIGCONT)

    [ended] = served.settle(client, [job])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    # It, or its successor: its parent takes one that sleeps for very long for dead.
    wait_until(lambda: len(served.training()) == len(served.workers), seconds=60, what="the sleeper to be at work again")
    check(served.record())


@pytest.mark.faults
def test_training_goes_on_when_only_the_parent_of_its_process_dies(served: Subject, client: Client, iris: str) -> None:
    spec = {**LONG, "dataset": iris, "epochs": 12}
    job = served.submit(client, spec, like=undisturbed(served, client, spec))
    served.wait_for_epoch(job, 3)
    pid = served.trainer_of(job)
    assert pid is not None
    worker = served.training()[pid]
    orphans = children(served.parts.parts[worker].pid)

    served.did("SIGKILL of the parent", job=job)
    kill(served.parts.parts[worker].pid)

    [ended] = served.settle(client, [job])
    assert ended["status"] == "succeeded"
    kill_group(served.parts.parts[worker])
    wait_until(lambda: not any(orphan in served.training() for orphan in orphans), what="the orphans to be gone")
    check(served.record())
