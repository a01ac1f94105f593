"""What a parent sees of its training processes, and what their owner is told when they died too often."""

import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from app.domain.crashes import Crash, verdict
from app.domain.job import Status, StopReason
from app.logs import configure_logs
from app.persistence import claims, events, jobs, leases, workers
from app.persistence.database import Database
from app.persistence.rows import EventRow, JobRow
from tests.persistence.jobs import queued
from worker.exits import SPOILED, STALLED, crash_of
from worker.nursery import Nursery
from worker.reaper import Reaper
from worker.signs import Signs


@pytest.mark.parametrize(
    ("status", "crash"),
    [
        (-signal.SIGKILL, Crash.KILLED),
        (-signal.SIGSEGV, Crash.FAULT),
        (STALLED, Crash.STALLED),
        (SPOILED, Crash.EXITED),
        (1, Crash.EXITED),
    ],
)
def test_an_exit_status_says_how_a_process_ended(status: int, crash: Crash) -> None:
    assert crash_of(status) is crash


@pytest.mark.parametrize(("crash", "words"), [(Crash.KILLED, "too little memory"), (Crash.STALLED, "no progress")])
def test_a_job_that_ends_by_crashes_names_the_likely_cause_and_a_cure(database: Database, crash: Crash, words: str) -> None:
    job = queued(database)
    for _ in range(3):
        with database.write() as connection:
            claims.claim(connection, owner="host:1", devices=["auto"], lease_seconds=30)
        with database.write() as connection:
            leases.crashed(connection, owner="host:1", crash=crash, max_crashes=3, back_off_seconds=0)

    with database.read() as connection:
        ended = jobs.find(connection, job.id, project_id=job.project_id)
    assert ended is not None
    assert (ended.status, ended.stop_reason) == (Status.FAILED, StopReason.WORKER_LOST)
    assert ended.error_message == verdict(3, crash)
    assert "3 times in a row" in ended.error_message
    assert words in ended.error_message


def test_signs_of_life_are_silent_from_the_last_one_on() -> None:
    signs = Signs()
    before = signs.silent_for(3)
    signs.stamp(3)
    first = signs.silent_for(3)

    assert before == 0
    assert 0 <= first <= signs.silent_for(3)
    signs.stamp(3, ahead=60)
    assert signs.silent_for(3) < 0
    signs.clear(3)
    assert signs.silent_for(3) == 0


@dataclass
class Born:
    """A training process as its parent sees it."""

    pid: int
    index: int
    exitcode: int | None = None


def test_a_successor_that_spoke_before_the_dead_was_buried_is_still_heard(database: Database) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    nursery = Nursery(Reaper(url, "redis://127.0.0.1:1/0", max_crashes=3), host="host", silence=60)
    nursery.look({1: Born(1, 0, -signal.SIGKILL)})
    nursery.signs.stamp(0, ahead=-10)

    nursery.look({2: Born(2, 0)})
    spoken = nursery.signs.silent_for(0)
    nursery.look({})

    assert spoken >= 10
    assert nursery.signs.silent_for(0) == 0


def test_the_log_and_the_event_of_a_packs_death_tell_the_same_number_of_crashes(database: Database) -> None:
    pack = [queued(database, pack=True) for _ in range(2)]
    reaper = Reaper(database.engine.url.render_as_string(hide_password=False), "redis://127.0.0.1:1/0", max_crashes=3)
    configure_logs("info")  # another test in this process may have set another level

    with capture_logs() as told:
        for _ in range(2):
            with database.write() as connection:
                claims.claim(connection, owner="host:1", devices=["auto"], lease_seconds=30)
            reaper.bury("host:1", crash=Crash.KILLED)

    died = {
        job.id: [line["crashes"] for line in told if (line["event"], line.get("job")) == ("process.died", job.id)]
        for job in pack
    }
    with database.read() as connection:
        lost = {job.id: [event.data["crashes"] for event in of_type(connection, job, "job.worker_lost")] for job in pack}
    assert died == lost == {job.id: [1, 2] for job in pack}


@pytest.mark.parametrize(("status", "told"), [(-signal.SIGSEGV, [("host:1", Crash.FAULT)]), (SPOILED, []), (0, [])])
def test_the_death_of_a_process_without_a_job_is_told_unless_it_told_itself(
    database: Database, status: int, told: list[object]
) -> None:
    with database.write() as connection:
        workers.register(connection, "host:1", device="cpu", threads=1, torch="2")
    url = database.engine.url.render_as_string(hide_password=False)
    nursery = Nursery(Reaper(url, "redis://127.0.0.1:1/0", max_crashes=3), host="host", silence=60)
    configure_logs("info")

    with capture_logs() as lines:
        nursery.look({1: Born(1, 0, status)})
        nursery.look({})
        nursery.look({1: Born(1, 0, status)})  # its row is gone, as that of one that left politely
        nursery.look({})

    assert [(line["owner"], line["how"]) for line in lines if line["event"] == "process.died"] == told


def of_type(connection: Connection, job: JobRow, type: str) -> list[EventRow]:
    return [event for event in events.after(connection, job.number) if event.type == type]


def test_the_driver_is_there_before_the_first_death() -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    made = f"from worker.reaper import Reaper; Reaper({url!r}, 'redis://127.0.0.1:1/0', max_crashes=3)"
    code = f"import sys; before = set(sys.modules); {made}; print('psycopg' not in before, 'psycopg' in sys.modules)"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["True", "True"]
