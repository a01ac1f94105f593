"""Checkpoints and recovery points: bytes first, durable and hashed; then, under the fence, the row that points at them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import safetensors.numpy
from sqlalchemy import Connection

from app.domain.blobs import StoredFile, checkpoint_folder, checkpoint_key, described, recovery_folder, recovery_key
from app.domain.history import EpochLosses
from app.domain.ids import new_id
from app.domain.manifest import MANIFEST, ONNX, STATE, WEIGHTS, Manifest
from app.domain.output import output_activation
from app.domain.spec import ResolvedSpec
from app.persistence import checkpoints, events
from app.persistence.checkpoints import NewCheckpoint
from app.persistence.database import Database
from app.persistence.rows import JobRow, RecoveryRow
from app.storage.storage import Storage
from app.tabular.loading import Fitted
from worker.engine.calibration import Exported
from worker.engine.export import manifest_json, to_onnx, write_weights
from worker.engine.recovery import State, position_of

Provenance = dict[str, str | int | float | bool | None]

Row = TypeVar("Row", NewCheckpoint, RecoveryRow)


@dataclass(frozen=True)
class Draft(Generic[Row]):
    """A row, and by their keys the files that must be durable before it may point at them."""

    row: Row
    contents: dict[str, bytes]


class Publisher:
    """Writes what one attempt at a job keeps."""

    def __init__(
        self,
        job: JobRow,
        spec: ResolvedSpec,
        fitted: Fitted,
        *,
        database: Database,
        storage: Storage,
        provenance: Provenance,
    ) -> None:
        self._job = job
        self._spec = spec
        self._fitted = fitted
        self._database = database
        self._storage = storage
        self._provenance = provenance
        self._unpublished: set[str] = set()

    def store(self, losses: EpochLosses, exported: Exported, *, kinds: Iterable[str]) -> NewCheckpoint:
        """Make the files of a checkpoint durable; no row points at them yet."""
        draft = self.draft(losses, exported, kinds=kinds)
        self._storage.put_all(draft.contents)
        return draft.row

    def draft(
        self, losses: EpochLosses, exported: Exported, *, kinds: Iterable[str], state: State | None = None
    ) -> Draft[NewCheckpoint]:
        """A checkpoint, with `state` what training goes on from.

        Where a checkpoint stands at that epoch already it keeps its id and its files, and only gets what it lacks.
        """
        with self._database.read() as connection:
            standing = checkpoints.at_epoch(connection, self._job.number, losses.epoch)
        id = standing.id if standing else new_id("ckpt")
        self._unpublished |= set() if standing else {id}
        files = [StoredFile.model_validate(file) for file in standing.files] if standing else []
        contents = {} if standing else self._files(losses, exported)
        if state is not None and STATE not in {file.name for file in files}:
            contents[STATE] = safetensors.numpy.save(state)
        new = {described(name, data): data for name, data in contents.items()}
        row = NewCheckpoint(
            id=id,
            project_id=self._job.project_id,
            job_number=self._job.number,
            kinds=frozenset(kinds),
            losses=losses,
            files=[*files, *new],
        )
        return Draft(row, {checkpoint_key(id, file): data for file, data in new.items()})

    def _files(self, losses: EpochLosses, exported: Exported) -> dict[str, bytes]:
        fitted, spec, weights = self._fitted, self._spec, exported.weights
        manifest = Manifest(
            spec=spec,
            columns=fitted.columns,
            target=fitted.target,
            class_weights=fitted.class_weights,
            temperature=exported.temperature,
            output=output_activation(spec),
            epoch=losses.epoch,
            train_loss=losses.train_loss,
            val_loss=losses.val_loss,
            metrics=losses.metrics,
            provenance=self._provenance,
        )
        onnx = to_onnx(columns=fitted.columns, target=fitted.target, spec=spec, weights=weights)
        return {WEIGHTS: write_weights(weights), MANIFEST: manifest_json(manifest), ONNX: onnx}

    def publish(self, connection: Connection, new: NewCheckpoint, *, final: bool) -> list[str]:
        """Point at stored files; answers the checkpoints whose files may go once this is committed.

        The event log says nothing of a `last` that is not final: there is one each half minute.
        """
        superfluous = checkpoints.publish(connection, new, keep=self._spec.checkpoints.keep)
        self._unpublished.discard(new.id)
        kinds, epoch = sorted(new.kinds), new.losses.epoch
        if final or new.kinds != {"last"}:
            events.append(connection, new.job_number, "job.checkpoint", checkpoint=new.id, epoch=epoch, kinds=kinds)
        return superfluous

    def discard(self, superfluous: Iterable[str]) -> None:
        """Remove files that no row points at any more."""
        for id in superfluous:
            self._storage.delete(checkpoint_folder(id))

    def withdraw(self) -> None:
        """Remove the files of checkpoints that could not be stored whole: a full disk is not to keep halves."""
        self.discard(self._unpublished)
        self._unpublished.clear()

    def draft_state(self, state: State) -> Draft[RecoveryRow]:
        """A recovery point."""
        data = safetensors.numpy.save(state)
        epoch, batch = position_of(state)
        id = new_id("rec")
        row = RecoveryRow(
            id=id,
            job_number=self._job.number,
            attempt=self._job.attempt,
            epoch=epoch,
            batch=batch,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        return Draft(row, {recovery_key(id): data})

    def discard_states(self, ids: Iterable[str]) -> None:
        """Remove recovery points that no row points at any more."""
        for id in ids:
            self._storage.delete(recovery_folder(id))
