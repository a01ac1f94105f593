"""A disk that is full, a storage or a database that is away: the jobs wait, go on, and end as if nothing had been."""

import errno
import resource
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from app.domain.blobs import dataset_key
from app.domain.job import Status, StopReason
from app.persistence.rows import JobRow
from app.persistence.stored import oldest
from app.storage.folder import Folder
from app.storage.marked import Marked
from tests.servers.disk import no_file_beyond
from tests.worker.yard import Yard, without_seconds
from worker.trainer import Trainer


class SmallDisk(Folder):
    """A folder on a disk where at times no file may grow beyond a few bytes; the error is the kernel's."""

    full = False

    def put(self, key: str, data: bytes) -> None:
        with no_file_beyond(100 if self.full else resource.RLIM_INFINITY):
            super().put(key, data)

    def put_all(self, contents: Mapping[str, bytes]) -> None:
        for key, data in contents.items():  # the limit is the whole process's: one at a time
            self.put(key, data)


class Choosy(Folder):
    """A folder that at times has no room for one of a checkpoint's files."""

    refusing = False

    def put(self, key: str, data: bytes) -> None:
        if self.refusing and key.endswith(".onnx"):
            raise OSError(errno.ENOSPC, "No space left on device")
        super().put(key, data)


@pytest.fixture
def disk(yard: Yard) -> SmallDisk:
    yard.storage = disk = SmallDisk(yard.storage.root)
    return disk


def types(yard: Yard, job: JobRow) -> list[str]:
    return [found.type for found in yard.events(job)]


def stored(yard: Yard) -> set[str]:
    """Folders of checkpoints and recovery points, and files that are none of theirs."""
    root = yard.storage.root
    return {str(path.relative_to(root)) for kind in ("checkpoints", "recovery") for path in (root / kind).glob("*")} | {
        path.name for path in root.rglob(".tmp-*")
    }


def undisturbed(yard: Yard) -> JobRow:
    job = yard.submit()
    yard.work()
    return job


def assert_as(yard: Yard, job: JobRow, other: JobRow) -> None:
    assert yard.job(job.id).status is Status.SUCCEEDED
    assert without_seconds(yard.history(job)) == without_seconds(yard.history(other))
    for kind in ("best", "last"):
        assert yard.weights(yard.checkpoints(job)[kind]) == yard.weights(yard.checkpoints(other)[kind])


def test_training_goes_on_while_the_disk_is_full_and_the_log_says_so_once(yard: Yard, disk: SmallDisk) -> None:
    other, job = undisturbed(yard), yard.submit()
    seen: list[tuple[str, int]] = []

    def look() -> None:
        disk.full = 12 <= yard.reports < 24
        seen.extend((point.id, yard.reports) for point in yard.points(job)[:1])

    yard.on_report = look
    yard.work(checkpoint=0)

    during = {id for id, report in seen if 14 <= report < 24}
    assert len(during) == 1
    assert types(yard, job).count("job.storage_failed") == types(yard, job).count("job.storage_recovered") == 1
    [failed] = [found for found in yard.events(job) if found.type == "job.storage_failed"]
    assert failed.data["reason"] == "disk_full"
    assert_as(yard, job, other)


def test_nothing_stays_of_a_save_of_which_a_single_file_was_refused(yard: Yard) -> None:
    yard.storage = disk = Choosy(yard.storage.root)
    job = yard.submit()
    yard.on_report = lambda: setattr(disk, "refusing", 12 <= yard.reports < 24)

    yard.work(checkpoint=0)

    assert yard.job(job.id).status is Status.SUCCEEDED
    assert types(yard, job).count("job.storage_failed") == 1
    assert stored(yard) == {f"checkpoints/{kept.id}" for kept in yard.checkpoints(job).values()}


def test_a_job_that_cannot_write_its_end_waits_keeps_nothing_half_and_ends_when_there_is_room(
    yard: Yard, disk: SmallDisk
) -> None:
    other, job = undisturbed(yard), yard.submit()
    before = stored(yard)
    disk.full = True
    yard.work()

    waiting = yard.job(job.id)
    assert (waiting.status, waiting.crashes, waiting.error_code) == (Status.QUEUED, 0, None)
    assert stored(yard) == before
    yard.work()
    assert yard.job(job.id).attempt == 1  # it waits
    yard.make_due(job)
    yard.work()
    disk.full = False
    yard.make_due(job)
    yard.work()

    assert yard.job(job.id).attempt == 3
    assert types(yard, job).count("job.storage_failed") == types(yard, job).count("job.storage_recovered") == 1
    assert_as(yard, job, other)


def test_a_job_waits_for_room_no_longer_than_it_may(yard: Yard, disk: SmallDisk) -> None:
    job = yard.submit()
    disk.full = True
    yard.work()
    yard.make_due(job)

    yard.work(patience=0)

    ended = yard.job(job.id)
    assert (ended.status, ended.stop_reason) == (Status.FAILED, StopReason.INTERNAL_ERROR)
    assert "is full" in str(ended.error_message)
    assert "free space" in str(ended.error_message)


@pytest.mark.parametrize(("asked", "becomes"), [(Status.CANCELLING, Status.CANCELLED), (Status.PAUSING, Status.PAUSED)])
def test_a_full_disk_keeps_nobody_from_cancel_and_pause(yard: Yard, disk: SmallDisk, asked: Status, becomes: Status) -> None:
    job = yard.submit(epochs=10_000)
    disk.full = True
    yard.on_report = lambda: yard.ask(job, asked) if yard.reports == 12 else None

    yard.work()

    assert yard.job(job.id).status is becomes


def test_a_storage_that_is_away_keeps_a_job_waiting(yard: Yard) -> None:
    class Away(Folder):
        """Cannot be read."""

        def fetch(self, key: str, destination: Path, **_: object) -> Path:
            raise OSError("the bucket failed: timeout")

    working, job = yard.storage, yard.submit()
    yard.storage = Away(working.root)
    yard.work()
    waiting = yard.job(job.id)
    yard.storage = working
    yard.make_due(job)
    yard.work()

    assert (waiting.status, waiting.crashes) == (Status.QUEUED, 0)
    assert "job.storage_failed" in types(yard, job)
    assert yard.job(job.id).status is Status.SUCCEEDED


def marked(yard: Yard) -> None:
    """Its training processes have a storage as the wiring makes it."""
    storage = Marked(yard.storage, make=yard.storage.make, oldest=partial(oldest, yard.database))
    storage.open()
    yard.trainer = lambda **parts: Trainer(**parts | {"storage": storage})


@pytest.mark.parametrize("report", [1, 12], ids=["before it begins", "while it trains"])
def test_a_job_whose_storage_goes_away_waits_and_ends_alike_once_it_is_back(yard: Yard, report: int) -> None:
    marked(yard)
    other, job, root = undisturbed(yard), yard.submit(), yard.storage.root
    elsewhere = root.with_name("elsewhere")

    def take_away() -> None:
        if yard.reports == report:
            root.rename(elsewhere)

    yard.on_report = take_away
    yard.work(checkpoint=0)
    waiting, yard.on_report = yard.job(job.id), lambda: None
    was_made_anew = root.exists()
    elsewhere.rename(root)
    yard.make_due(job)
    yard.work()

    assert (waiting.status, waiting.crashes, waiting.error_code) == (Status.QUEUED, 0, None)
    assert not was_made_anew
    [failed] = [found for found in yard.events(job) if found.type == "job.storage_failed"]
    assert failed.data["reason"] == "storage_unavailable"
    assert_as(yard, job, other)


def test_a_dataset_whose_bytes_are_gone_ends_its_job_with_a_sentence(yard: Yard) -> None:
    job = yard.submit()
    yard.storage.delete(dataset_key(yard.dataset))
    (yard.storage.root / dataset_key(yard.dataset)).unlink()

    yard.work()

    ended = yard.job(job.id)
    assert ended.stop_reason == StopReason.INVALID_DATA
    assert "are gone from the storage" in str(ended.error_message)


def cut(yard: Yard, away: list[bool]) -> None:
    """While `away` is true every transaction on PostgreSQL loses its connection, as by a restart."""

    def lose(connection: Connection) -> None:
        if away:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    event.listen(yard.database.engine, "begin", lose)


def test_a_database_that_is_full_or_away_for_a_while_is_no_crash_of_its_jobs(yard: Yard) -> None:
    other, job, away = undisturbed(yard), yard.submit(), list[bool]()
    if yard.database.engine.dialect.name == "postgresql":
        cut(yard, away)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def disturb() -> None:
        away[:] = [True] * (yard.reports == 12)
        if yard.database.engine.dialect.name == "sqlite":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 if away else before[0], before[1]))

    yard.on_report = disturb
    yard.work(checkpoint=0)
    waiting, yard.on_report = yard.job(job.id), lambda: None
    yard.make_due(job)
    yard.work()

    assert (waiting.status, waiting.crashes, waiting.attempt) == (Status.QUEUED, 0, 1)
    assert_as(yard, job, other)
