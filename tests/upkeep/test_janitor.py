"""What the janitor removes and what it leaves, on both databases; the storages have tests of their own."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from app.domain.blobs import batch_part_key, checkpoint_key, dataset_key, described, recovery_key
from app.domain.history import EpochLosses
from app.domain.job import Status
from app.persistence import batch_predictions, checkpoints, recovery
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.rows import RecoveryRow
from app.persistence.tables import jobs, model_versions
from app.storage.folder import Folder
from app.storage.storage import Storage
from app.upkeep.janitor import Janitor
from tests.persistence.batches import asked
from tests.persistence.jobs import queued
from tests.persistence.test_checkpoints import publish
from tests.persistence.test_registered import register

HOUR = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "files")
    folder.make()
    return folder


MANIFEST = described("model.json", b"{}")


def janitor(database: Database, storage: Storage, uploads: Path) -> Janitor:
    return Janitor(database, storage, uploads=uploads, age_seconds=HOUR)


def age(path: Path, *, seconds: float = 2 * HOUR) -> None:
    """All below was written so long ago."""
    then = time.time() - seconds
    for each in (path, *path.rglob("*")):
        os.utime(each, (then, then))


def referenced(database: Database, storage: Storage) -> set[str]:
    """A checkpoint and a recovery point with their rows; their keys."""
    job = queued(database)
    point = RecoveryRow(id="rec_kept", job_number=job.number, attempt=1, epoch=1, batch=0, bytes=1, sha256="0")
    new = NewCheckpoint(
        id="ckpt_kept",
        project_id=job.project_id,
        job_number=job.number,
        kinds=frozenset({"best"}),
        losses=EpochLosses.of(1, train=1.0, val=None),
        files=[],
    )
    with database.write() as connection:
        recovery.add(connection, point)
        checkpoints.add(connection, new)
    keys = {checkpoint_key("ckpt_kept", MANIFEST), recovery_key("rec_kept")}
    for key in keys:
        storage.put(key, b"1")
    return keys


UNREFERENCED = (checkpoint_key("ckpt_lost", MANIFEST), recovery_key("rec_lost"), dataset_key("ds_lost"))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_old_bytes_without_a_row_go_and_those_with_one_stay(database: Database, folder: Folder, tmp_path: Path) -> None:
    kept = referenced(database, folder)
    for key in UNREFERENCED:
        folder.put(key, b"1")
    age(folder.root)

    janitor(database, folder, tmp_path / "uploads").sweep()

    assert files(folder.root) == kept
    assert not (folder.root / "checkpoints/ckpt_lost").exists()


def test_what_is_under_way_stays(database: Database, folder: Folder, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "upload-new").write_bytes(b"1")
    (uploads / "held-new").mkdir()
    (uploads / "held-new/data.parquet").write_bytes(b"of an old dataset")
    os.utime(uploads / "held-new/data.parquet", (1, 1))
    for key in UNREFERENCED:
        folder.put(key, b"1")
    age(folder.root)
    folder.put(checkpoint_key("ckpt_lost", described("model.onnx", b"")), b"its last file comes just now")
    folder.put(dataset_key("ds_lost"), b"again")
    folder.put(recovery_key("rec_lost"), b"again")
    before = files(folder.root)

    janitor(database, folder, uploads).sweep()

    assert files(folder.root) == before
    assert files(uploads) == {"upload-new", "held-new/data.parquet"}


def test_writes_and_uploads_that_died_go(database: Database, folder: Folder, tmp_path: Path) -> None:
    kept, uploads = referenced(database, folder), tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "upload-old").write_bytes(b"1")
    (uploads / "held-old").mkdir()
    (uploads / "held-old/data.parquet").write_bytes(b"1")
    (folder.root / "checkpoints/ckpt_kept/.tmp-half").write_bytes(b"1")
    (folder.root / ".tmp-probe").write_bytes(b"")
    age(folder.root)
    age(uploads)

    janitor(database, folder, uploads).sweep()

    assert files(folder.root) == kept
    assert list(uploads.iterdir()) == []


def test_the_recovery_points_of_a_job_that_ended_without_a_worker_go(
    database: Database, folder: Folder, tmp_path: Path
) -> None:
    referenced(database, folder)
    with database.write() as connection:
        connection.execute(update(jobs).values(status=Status.FAILED))
    age(folder.root)

    janitor(database, folder, tmp_path).sweep()

    assert files(folder.root) == {checkpoint_key("ckpt_kept", MANIFEST)}


def test_a_checkpoint_of_no_kind_goes_once_its_job_is_over_and_no_model_holds_it(
    database: Database, folder: Folder, tmp_path: Path
) -> None:
    job = queued(database)
    for epoch in (1, 2, 3):
        publish(database, job, epoch, "best", "last")
        register(database, f"ckpt_{epoch}")
        folder.put(checkpoint_key(f"ckpt_{epoch}", MANIFEST), b"1")
    with database.write() as connection:
        connection.execute(delete(model_versions).where(model_versions.c.checkpoint_id == "ckpt_1"))
        connection.execute(update(jobs).values(status=Status.SUCCEEDED))
    age(folder.root)

    janitor(database, folder, tmp_path).sweep()

    assert files(folder.root) == {checkpoint_key(f"ckpt_{epoch}", MANIFEST) for epoch in (2, 3)}


def test_what_batch_predictions_left_that_keep_nothing_goes(database: Database, folder: Folder, tmp_path: Path) -> None:
    kept, cancelled = asked(database), asked(database)
    keys = [batch_part_key(id, 0, "0" * 64) for id in (kept.id, cancelled.id, "bp_lost")]
    for key in keys:
        folder.put(key, b"1")
    with database.write() as connection:
        batch_predictions.change_status(connection, cancelled.number, old=Status.QUEUED, new=Status.CANCELLED)
    age(folder.root)

    janitor(database, folder, tmp_path).sweep()

    assert files(folder.root) == {keys[0]}


def test_five_janitors_at_once_are_as_good_as_one(database: Database, folder: Folder, tmp_path: Path) -> None:
    kept = referenced(database, folder)
    for number in range(50):
        folder.put(checkpoint_key(f"ckpt_{number}", MANIFEST), b"1")
    age(folder.root)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: janitor(database, folder, tmp_path / "uploads").sweep(), range(5)))

    assert files(folder.root) == kept
