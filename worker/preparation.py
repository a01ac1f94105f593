"""From a claimed job to what the engine takes: arrays, a member, and the state to continue from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
import structlog
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sqlalchemy import Connection

from app.domain.blobs import recovery_key
from app.domain.columns import AnyTarget, FittedColumn
from app.domain.errors import InvalidData
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec
from app.persistence import checkpoints, datasets, epochs, events, leases, recovery, starts
from app.persistence.database import Database
from app.persistence.leases import Fence
from app.persistence.rows import DatasetRow, JobRow, RecoveryRow
from app.storage.storage import Storage
from app.tabular.loading import Fitted, Loaded, load
from app.tabular.streaming import Streamed
from worker.dataset_files import DatasetFiles
from worker.engine import data
from worker.engine.data import Floats, Member, MemberArrays, StoredRows
from worker.engine.ensembles import Folds, apart, folds_of
from worker.engine.network import Weights, vector_of
from worker.engine.recovery import State, first_state, is_state
from worker.plugins import load_loss
from worker.stored_rows import of_outputs, range_of, store

log = structlog.get_logger()

_COLUMNS = TypeAdapter[list[FittedColumn]](list[FittedColumn])
_TARGET = TypeAdapter[AnyTarget](AnyTarget)

Rows = TypeVar("Rows", bound=NDArray[np.float64] | NDArray[np.int64] | None)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A job ready to train."""

    fitted: Fitted
    member: Member
    state: State | None


def prepare(job: JobRow, *, database: Database, storage: Storage, files: DatasetFiles, alive: Callable[[], None]) -> Prepared:
    """Read the datasets and the newest sound recovery point.

    Raises InvalidData: a dataset is gone, or not fit to be trained on.
    Raises LossFailed: the spec's custom loss cannot be had here.
    Raises OSError: the storage does not answer.
    `alive` is called after each part of it: a large dataset takes a while, which is no stall.
    """
    spec = ResolvedSpec.model_validate(job.resolved_spec)
    custom_loss = load_loss(spec.loss.name, job=job.id)
    alive()
    fitted, arrays = _load(job, spec, database=database, files=files, alive=alive)
    alive()
    state = _state(job, spec, database=database, storage=storage)
    alive()
    folds = folds_of(spec, data.train(arrays).y)
    if folds is not None:
        _check_folds(folds, data.train(arrays).w)
    member = Member(spec=spec, arrays=arrays, custom_loss=custom_loss, folds=folds)
    return Prepared(fitted=fitted, member=member, state=state)


def arrays_of(loaded: Loaded) -> MemberArrays:
    """What the engine takes of what was loaded."""
    return MemberArrays(
        x_train=_writable(loaded.x_train),
        y_train=_writable(loaded.y_train),
        w_train=_writable(loaded.w_train),
        x_val=_writable(loaded.x_val),
        y_val=_writable(loaded.y_val),
        w_val=_writable(loaded.w_val),
        x_test=_writable(loaded.x_test),
        y_test=_writable(loaded.y_test),
        w_test=_writable(loaded.w_test),
        target_center=of_outputs(loaded.target.center),
        target_scale=of_outputs(loaded.target.scale),
        target_range=range_of(loaded.target),
    )


def _writable(array: Rows) -> Rows:
    """Torch shares memory with an array, and warns of one that may not be written; Arrow's are such."""
    return array if array is None else np.require(array, requirements="W")


def _load(
    job: JobRow, spec: ResolvedSpec, *, database: Database, files: DatasetFiles, alive: Callable[[], None]
) -> tuple[Fitted, MemberArrays | StoredRows]:
    with database.read() as connection:
        rows = {id: _dataset(connection, job, id) for id in job.dataset_ids}
        given = _given(connection, job)
    columns = [Column.model_validate(column) for column in rows[job.dataset_id].columns]
    own = {"validation": job.validation_dataset_id, "test": job.test_dataset_id}
    parts: dict[str, Any] = {part: files.path(id) for part, id in own.items() if id}
    if spec.streaming:
        streamed = Streamed(spec, columns, files.path(job.dataset_id), **parts, given=given, alive=alive)
        return streamed.fitted, store(streamed, spec)
    loaded = load(spec, columns, files.path(job.dataset_id), **parts, given=given, read=files.read)
    return loaded, arrays_of(loaded)


def _dataset(connection: Connection, job: JobRow, id: str) -> DatasetRow:
    dataset = datasets.find(connection, id, project_id=job.project_id)
    if dataset is None:
        raise InvalidData(f"The dataset {id} was deleted before the job could read it.")
    return dataset


def _given(connection: Connection, job: JobRow) -> Fitted | None:
    """What the checkpoint had learned that the job started from."""
    found = starts.fitted_of(connection, job.number)
    if found is None:
        return None
    columns, target = found
    return Fitted(_COLUMNS.validate_python(columns), _TARGET.validate_python(target))


def _state(job: JobRow, spec: ResolvedSpec, *, database: Database, storage: Storage) -> State | None:
    """Where it goes on; None before the first epoch. Raises InvalidData: what the job started from is damaged."""
    with database.read() as connection:
        points = recovery.every(connection, job.number)
    for point in points:
        content = _sound(point, storage)
        if content is not None:
            arrays = safetensors.numpy.load(content)
            return arrays if is_state(arrays) else first_state(_vector(spec, arrays))
        if point.attempt == recovery.START:
            raise InvalidData("The stored copy of the checkpoint that the job started from is damaged: clone it again.")
        _fall_back(job, point, database=database)
    return None


def _check_folds(folds: Folds, w: Floats | None) -> None:
    weights = np.bincount(folds, weights=w)
    if weights.max() >= weights.sum():
        raise InvalidData(
            "All weight is that of the rows of one fold, so a network has none to train on: name validation rows."
        )


def _vector(spec: ResolvedSpec, weights: Weights) -> NDArray[np.float64]:
    vectors = [vector_of(spec, own) for own in apart(weights)]
    return np.stack(vectors) if spec.ensemble else vectors[0]


def _sound(point: RecoveryRow, storage: Storage) -> bytes | None:
    try:
        content = storage.get(recovery_key(point.id))
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).hexdigest() == point.sha256 else None


def _fall_back(job: JobRow, damaged: RecoveryRow, *, database: Database) -> None:
    """Forget a damaged point, and every epoch and checkpoint beyond the point before it."""
    fence = Fence(job.number, job.attempt)
    with database.write() as connection:
        recovery.forget(connection, [damaged.id])
        before = recovery.newest(connection, job.number)
        epoch = before.epoch if before else 0
        leases.note(connection, fence, epoch=epoch)
        epochs.forget_after(connection, job.number, epoch)
        checkpoints.forget_after(connection, job.number, epoch)
        events.append(connection, job.number, "job.recovery_point_damaged", epoch=damaged.epoch, continued_from=epoch)
    log.error("recovery_point.damaged", job=job.id, epoch=damaged.epoch)
