"""What a registered checkpoint outlives, on both databases: publishing, falling back, the janitor, its job."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app.domain.blobs import StoredFile
from app.domain.caller import DEFAULT_PROJECT
from app.domain.ids import new_id
from app.domain.job import Status
from app.domain.manifest import ONNX, STATE
from app.persistence import checkpoints, jobs, models, versions
from app.persistence.database import Database
from app.persistence.model_rows import ModelRow, VersionRow
from app.persistence.models import NewModel
from app.persistence.rows import JobRow
from app.persistence.tables import checkpoints as checkpoints_table
from app.persistence.tables import jobs as jobs_table
from app.persistence.versions import NewVersion
from tests.persistence.jobs import queued
from tests.persistence.test_checkpoints import publish, standing

FILES = [StoredFile(name=name, bytes=1, sha256=name) for name in (ONNX, STATE)]


def new_model(name: str) -> NewModel:
    return NewModel(id=new_id("mdl"), project_id=DEFAULT_PROJECT, name=name, description=None, metadata={})


def new_version(model: ModelRow, checkpoint_id: str) -> NewVersion:
    about = {"project_id": model.project_id, "model_id": model.id, "checkpoint_id": checkpoint_id}
    return NewVersion(id=new_id("mver"), description=None, metadata={}, **about)


def register(database: Database, *checkpoint_ids: str) -> list[VersionRow]:
    """A new model with these as its versions."""
    with database.write() as connection:
        model = models.add(connection, new_model(new_id("x")))
        assert model is not None
        return [versions.add(connection, new_version(model, id)) for id in checkpoint_ids]


def files_of(database: Database, id: str) -> Sequence[str]:
    with database.read() as connection:
        files = connection.execute(select(checkpoints_table.c.files).where(checkpoints_table.c.id == id)).scalar_one()
    return [file["name"] for file in files]


def end(database: Database, job: JobRow) -> None:
    with database.write() as connection:
        connection.execute(update(jobs_table).where(jobs_table.c.number == job.number).values(status=Status.SUCCEEDED))


def tidy(database: Database) -> None:
    with database.write() as connection:
        checkpoints.forget_unneeded(connection, checkpoints.unneeded(connection, limit=100))


def test_a_former_best_and_a_periodic_one_beyond_keep_stay(database: Database) -> None:
    job = queued(database)
    publish(database, job, 10, "periodic")
    publish(database, job, 15, "best", "last")
    register(database, "ckpt_10", "ckpt_15")

    superfluous = [publish(database, job, epoch, "periodic", "best", "last", keep=1) for epoch in (20, 30)]

    assert superfluous == [[], ["ckpt_20"]]
    assert standing(database, job) == {10: set(), 15: set(), 30: {"periodic", "best", "last"}}


def test_one_that_a_crashed_attempt_kept_stays_without_what_training_would_go_on_from(database: Database) -> None:
    job = queued(database)
    for epoch in (10, 20, 30):
        publish(database, job, epoch, "periodic", "last", files=FILES, keep=3)
    register(database, "ckpt_10", "ckpt_30")

    with database.write() as connection:
        checkpoints.forget_after(connection, job.number, 5)
        from_there = [checkpoints.hold(connection, "ckpt_30", sha256=name) for name in (ONNX, STATE)]

    assert standing(database, job) == {10: set(), 30: set()}
    assert files_of(database, "ckpt_30") == [ONNX]
    assert from_there == [True, False]


def test_trained_again_it_is_of_a_kind_again(database: Database) -> None:
    job = queued(database)
    publish(database, job, 30, "last", files=FILES)
    register(database, "ckpt_30")
    with database.write() as connection:
        checkpoints.forget_after(connection, job.number, 5)

    publish(database, job, 30, "best", "last", files=FILES)

    assert standing(database, job) == {30: {"best", "last"}}
    assert files_of(database, "ckpt_30") == [ONNX, STATE]


def test_it_goes_once_no_model_holds_it_and_its_job_is_over(database: Database) -> None:
    job = queued(database)
    publish(database, job, 10, "best")
    [first], [second] = register(database, "ckpt_10"), register(database, "ckpt_10")
    publish(database, job, 20, "best")
    end(database, job)
    seen = []
    for version in (first, second):
        remove(database, version)
        tidy(database)
        seen.append([*standing(database, job)])

    assert seen == [[10, 20], [20]]


def test_it_stays_while_its_job_may_still_give_it_a_kind(database: Database) -> None:
    job = queued(database)
    publish(database, job, 10, "best")
    [version] = register(database, "ckpt_10")
    publish(database, job, 20, "best")
    remove(database, version)

    tidy(database)
    superfluous = publish(database, job, 30, "last")

    assert ([*standing(database, job)], superfluous) == ([10, 20, 30], [])


def remove(database: Database, version: VersionRow) -> None:
    with database.write() as connection:
        versions.remove(connection, version.id)


def test_the_database_itself_refuses_to_forget_it(database: Database) -> None:
    job = queued(database)
    publish(database, job, 10, "best")
    register(database, "ckpt_10")

    with pytest.raises(IntegrityError), database.write() as connection:
        jobs.remove(connection, job.number)

    assert standing(database, job) == {10: {"best"}}
