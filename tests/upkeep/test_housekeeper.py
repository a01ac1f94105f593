"""The housekeeper against both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from app.domain.job import Status
from app.persistence import claims, due, jobs, workers
from app.persistence.database import Database
from app.upkeep.housekeeper import Housekeeper
from tests.persistence.batches import asked, found
from tests.persistence.jobs import queued
from tests.servers.processes import wait_until


@dataclass
class RecordingBell:
    """Remembers who was rung for."""

    rung: list[str] = field(default_factory=list)

    def ring(self, job_id: str, device: str) -> None:
        self.rung.append(job_id)

    def check(self) -> bool:
        return True


def housekeeper(database: Database, bell: RecordingBell) -> Housekeeper:
    return Housekeeper(database, bell, period=1e-6, max_crashes=3, silent_seconds=60)


def register(database: Database, name: str) -> None:
    with database.write() as connection:
        workers.register(connection, name, device="cpu", threads=1, torch="2")


def test_a_job_whose_lease_ran_out_is_queued_again_and_rung_for(database: Database) -> None:
    job, bell = queued(database), RecordingBell()
    with database.write() as connection:
        claims.claim(connection, owner="host:1", devices=["auto"], lease_seconds=0)

    housekeeper(database, bell).sweep()

    with database.read() as connection:
        found = jobs.find(connection, job.id, project_id=job.project_id)
    assert found is not None
    assert found.status is Status.QUEUED
    assert bell.rung == [job.id]


def test_a_job_that_nobody_took_is_rung_for_while_a_process_idles(database: Database) -> None:
    oldest, bell = queued(database), RecordingBell()
    queued(database)
    register(database, "host:1")

    housekeeper(database, bell).sweep()

    assert bell.rung == [oldest.id]


def test_a_batch_prediction_whose_lease_ran_out_is_queued_again_and_rung_for_as_is_one_that_nobody_took(
    database: Database,
) -> None:
    held, bell = asked(database), RecordingBell()
    with database.write() as connection:
        due.claim(connection, owner="host:1", devices=["auto"], lease_seconds=0)
    waiting = asked(database)
    for name in ("host:2", "host:3"):
        register(database, name)

    housekeeper(database, bell).sweep()

    assert found(database, held).status is Status.QUEUED
    assert set(bell.rung) == {held.id, waiting.id}


def test_busy_processes_are_left_alone(database: Database) -> None:
    bell = RecordingBell()
    queued(database)
    register(database, "host:1")
    with database.write() as connection:
        workers.beat(connection, "host:1", job_id="job_1")

    housekeeper(database, bell).sweep()

    assert bell.rung == []


def test_a_job_that_no_idle_process_can_take_does_not_keep_the_others_from_being_rung_for(database: Database) -> None:
    bell = RecordingBell()
    queued(database, device="cuda")
    mine = queued(database, device="cpu")
    register(database, "host:1")

    housekeeper(database, bell).sweep()

    assert bell.rung == [mine.id]


def test_the_thread_outlives_a_sweep_that_fails(database: Database) -> None:
    class FailingOnce(RecordingBell):
        """Hears only the second ring."""

        def ring(self, job_id: str, device: str) -> None:
            super().ring(job_id, device)
            if len(self.rung) == 1:
                raise RuntimeError

    job, bell = queued(database), FailingOnce()
    register(database, "host:1")
    keeper = Housekeeper(database, bell, period=0.001, max_crashes=3, silent_seconds=60)

    keeper.start()
    wait_until(lambda: len(bell.rung) > 1, seconds=20, what="a second ring")
    keeper.stop()

    assert set(bell.rung) == {job.id}


def test_a_process_that_went_silent_is_seen_as_such_counts_for_nothing_and_is_forgotten_later(database: Database) -> None:
    register(database, "host:1")
    with database.write() as connection:
        [silent] = workers.mark_silent(connection, seconds=-1)
        again = workers.mark_silent(connection, seconds=-1)
    with database.read() as connection:
        [row] = workers.every(connection)
        counted = workers.count(connection), workers.idle(connection)
    with database.write() as connection:
        workers.forget_silent(connection, seconds=-1)
        left = workers.every(connection)

    assert (silent, again, row.status, counted, left) == ("host:1", [], "silent", (0, {}), [])


def test_a_silent_process_that_is_heard_of_again_counts_again(database: Database) -> None:
    register(database, "host:1")
    with database.write() as connection:
        workers.mark_silent(connection, seconds=-1)
        heard = workers.beat(connection, "host:1", job_id=None)
        [row] = workers.every(connection)

    assert (heard, row.status) == (True, "idle")


def test_a_sweep_marks_who_went_silent(database: Database) -> None:
    register(database, "host:1")

    Housekeeper(database, RecordingBell(), period=1, max_crashes=3, silent_seconds=1e-6).sweep()

    with database.read() as connection:
        assert [row.status for row in workers.every(connection)] in (["silent"], [])


def test_five_housekeepers_at_once_count_one_crash(database: Database) -> None:
    job, bell = queued(database), RecordingBell()
    with database.write() as connection:
        claims.claim(connection, owner="host:1", devices=["auto"], lease_seconds=0)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: housekeeper(database, bell).sweep(), range(5)))

    with database.read() as connection:
        found = jobs.find(connection, job.id, project_id=job.project_id)
    assert found is not None
    assert found.crashes == 1
