"""What a batch prediction predicts with: a checkpoint of a job or of a model's version, chosen once, with its files."""

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from app.domain.batch_prediction import BatchSpec
from app.domain.caller import Caller
from app.domain.errors import Fault, Invalid, NotFound
from app.domain.manifest import MANIFEST, ONNX, Manifest
from app.domain.models import DEFAULT
from app.persistence import choices, versions
from app.persistence.database import Database
from app.services.choices import chosen_of
from app.services.ports import CheckpointFiles

BEST = "best"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A checkpoint and its job, and the model and version where it was asked for by them."""

    job: str
    checkpoint: str
    model: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class Source:
    """What was chosen, and by their names the files that predict."""

    chosen: Chosen
    files: dict[str, bytes]

    @property
    def manifest(self) -> Manifest:
        """What the checkpoint says of itself."""
        return Manifest.model_validate_json(self.files[MANIFEST])


class BatchSources:
    """Reads rows and files."""

    def __init__(self, database: Database, files: CheckpointFiles) -> None:
        self._database, self._files = database, files

    def find(self, caller: Caller, spec: BatchSpec) -> Source:
        """Chosen again as long as it was deleted before it could be read: a job that trains replaces its best.

        Raises:
            Invalid: the body names no such job, checkpoint, model or version, or too much.
            Conflict: the job has no checkpoint yet.
            Damaged: the checkpoint's files are not what was stored.

        """
        _check(spec)
        before, chosen = None, self._choose(caller, spec)
        while chosen != before:
            with suppress(NotFound):
                return Source(chosen, {name: self._files.read(chosen.checkpoint, name) for name in (MANIFEST, ONNX)})
            before, chosen = chosen, self._choose(caller, spec)
        raise _missing("/model" if spec.job is None else "/job", "checkpoint with its files")

    def _choose(self, caller: Caller, spec: BatchSpec) -> Chosen:
        with self._database.read() as connection:
            return _of_model(connection, caller, spec) if spec.job is None else _of_job(connection, caller, spec)


def _check(spec: BatchSpec) -> None:
    """A job has checkpoints, a model has versions."""
    if (spec.job is None) == (spec.model is None):
        raise Invalid.at("", "Name either a `job` or a `model`.", code="missing")
    other, sentence = ("checkpoint", "A model has versions.") if spec.job is None else ("version", "A job has checkpoints.")
    if getattr(spec, other) is not None:
        raise Invalid([Fault(f"/{other}", "not_allowed", sentence)])


def _of_job(connection: Connection, caller: Caller, spec: BatchSpec) -> Chosen:
    assert spec.job is not None
    found = choices.of_job(connection, spec.job, project_id=caller.project_id)
    if found is None:
        raise _missing("/job", "job")
    which = BEST if spec.checkpoint is None else spec.checkpoint
    try:
        return Chosen(job=spec.job, checkpoint=chosen_of(spec.job, found, which).id)
    except NotFound:
        raise _missing("/checkpoint", "checkpoint of the job") from None


def _of_model(connection: Connection, caller: Caller, spec: BatchSpec) -> Chosen:
    assert spec.model is not None
    which = str(spec.version or DEFAULT)
    found = choices.of_model(connection, spec.model, which, project_id=caller.project_id)
    if found is None:
        raise _missing("/model", "model")
    if not found:
        raise _missing("/version", "version or alias of the model")
    [served] = found
    job = versions.jobs_of(connection, [served.checkpoint_id])[served.checkpoint_id]
    return Chosen(job=job, checkpoint=served.checkpoint_id, model=spec.model, version=served.number)


def _missing(place: str, what: str) -> Invalid:
    return Invalid.at(place, f"There is no such {what}.", code="not_found")
