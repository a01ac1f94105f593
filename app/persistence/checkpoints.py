"""The checkpoints of a job: rows that stand only once their bytes are durable, and as long as the job or a model needs them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, not_, or_, select, update

from app.domain.blobs import StoredFile
from app.domain.history import EpochLosses
from app.domain.job import TERMINAL
from app.domain.manifest import STATE
from app.persistence.database import now
from app.persistence.rows import KINDS, CheckpointRow
from app.persistence.tables import checkpoints, jobs, model_versions

# True for a checkpoint that a version of a model holds.
_REGISTERED = exists().where(model_versions.c.checkpoint_id == checkpoints.c.id)
_KINDLESS = not_(or_(*(checkpoints.c[f"is_{kind}"] for kind in KINDS)))


@dataclass(frozen=True, kw_only=True)
class NewCheckpoint:
    """A checkpoint whose files are stored."""

    id: str
    project_id: str
    job_number: int
    kinds: frozenset[str]
    losses: EpochLosses
    files: Sequence[StoredFile]


def add(connection: Connection, new: NewCheckpoint) -> None:
    """Store a checkpoint."""
    connection.execute(
        insert(checkpoints).values(
            id=new.id,
            project_id=new.project_id,
            job_number=new.job_number,
            epoch=new.losses.epoch,
            is_best="best" in new.kinds,
            is_last="last" in new.kinds,
            is_periodic="periodic" in new.kinds,
            losses=new.losses.model_dump(mode="json"),
            files=[file.model_dump() for file in new.files],
            created_at=now(),
        )
    )


def of_job(connection: Connection, number: int) -> list[CheckpointRow]:
    """All checkpoints of a job in the order of their epochs."""
    query = select(*CheckpointRow.selected(checkpoints)).where(checkpoints.c.job_number == number)
    return CheckpointRow.all(connection.execute(query.order_by(checkpoints.c.epoch)).all())


def find(connection: Connection, id: str, *, project_id: str) -> CheckpointRow | None:
    """The checkpoint of that id in that project."""
    query = select(*CheckpointRow.selected(checkpoints)).where(checkpoints.c.id == id, checkpoints.c.project_id == project_id)
    return CheckpointRow.maybe(connection.execute(query).one_or_none())


def file_of(connection: Connection, id: str, name: str) -> StoredFile | None:
    """A file of a checkpoint as it was stored."""
    query = select(checkpoints.c.files).where(checkpoints.c.id == id)
    files = connection.execute(query).scalar_one_or_none() or []
    return next((StoredFile.model_validate(file) for file in files if file["name"] == name), None)


def at_epoch(connection: Connection, number: int, epoch: int) -> CheckpointRow | None:
    """The checkpoint of a job at that epoch."""
    query = select(*CheckpointRow.selected(checkpoints)).where(checkpoints.c.job_number == number, checkpoints.c.epoch == epoch)
    return CheckpointRow.maybe(connection.execute(query).one_or_none())


def publish(connection: Connection, new: NewCheckpoint, *, keep: int) -> list[str]:
    """Store a checkpoint among the job's others and answer the ids whose bytes are now superfluous.

    There is one `best`, one `last`, and the newest `keep` periodic ones. Where `new` has the id of the checkpoint that stands
    at its epoch already, that one gets the new kinds, losses and files. A registered one stays, of whatever kind, or of none.
    """
    others = of_job(connection, new.job_number)
    before = {row.id: row.kinds for row in others}
    kinds = {id: those - (new.kinds & {"best", "last"}) for id, those in before.items()}
    if new.id in kinds:
        values = {"losses": new.losses.model_dump(mode="json"), "files": [file.model_dump() for file in new.files]}
        connection.execute(update(checkpoints).where(checkpoints.c.id == new.id).values(values))
    else:
        add(connection, new)
    kinds[new.id] = kinds.get(new.id, frozenset()) | new.kinds
    newest_first = [row.id for row in reversed(of_job(connection, new.job_number))]
    for id in [id for id in newest_first if "periodic" in kinds[id]][keep:]:
        kinds[id] -= {"periodic"}
    changed = [id for id, left in kinds.items() if left != before.get(id, new.kinds)]
    for id in changed:
        _mark(connection, id, kinds=kinds[id])
    return _forget_unregistered(connection, [id for id in changed if not kinds[id]])


def _mark(connection: Connection, id: str, *, kinds: frozenset[str]) -> None:
    values = {f"is_{kind}": kind in kinds for kind in KINDS}
    connection.execute(update(checkpoints).where(checkpoints.c.id == id).values(values))


def _forget_unregistered(connection: Connection, ids: Collection[str], *conditions: ColumnElement[bool]) -> list[str]:
    """Remove those that no model holds; answers their ids. The rows of their jobs are locked."""
    if not ids:
        return []
    statement = delete(checkpoints).where(checkpoints.c.id.in_(ids), not_(_REGISTERED), *conditions)
    return list(connection.execute(statement.returning(checkpoints.c.id)).scalars())


def forget_after(connection: Connection, number: int, epoch: int) -> None:
    """Remove what a crashed attempt kept beyond its recovery point: it will be trained, and kept, again.

    A registered one stays, as it predicts, but of no kind, and without what the training would go on from.
    """
    beyond = checkpoints.c.job_number == number, checkpoints.c.epoch > epoch
    rows = connection.execute(select(checkpoints.c.id, checkpoints.c.files).where(*beyond)).all()
    gone = _forget_unregistered(connection, [row.id for row in rows])
    for id, files in [(row.id, row.files) for row in rows if row.id not in gone]:
        _mark(connection, id, kinds=frozenset())
        left = [file for file in files if file["name"] != STATE]
        connection.execute(update(checkpoints).where(checkpoints.c.id == id).values(files=left))


def unneeded(connection: Connection, *, limit: int) -> list[str]:
    """Some checkpoints of no kind that no model holds any more.

    Of a job that still trains they stay until it is over: its worker may be about to give one of them a kind.
    """
    query = select(checkpoints.c.id).join(jobs, checkpoints.c.job_number == jobs.c.number)
    query = query.where(_KINDLESS, not_(_REGISTERED), jobs.c.status.in_(TERMINAL))
    return list(connection.execute(query.limit(limit)).scalars())


def forget_unneeded(connection: Connection, ids: Collection[str]) -> None:
    """Remove those that are still unneeded; their bytes are the janitor's. Nothing else may be locked before their jobs."""
    of_them = select(checkpoints.c.job_number).where(checkpoints.c.id.in_(ids))
    connection.execute(select(jobs.c.number).where(jobs.c.number.in_(of_them)).order_by(jobs.c.number).with_for_update()).all()
    _forget_unregistered(connection, ids, _KINDLESS)


def hold(connection: Connection, id: str, *, sha256: str | None = None) -> bool:
    """Keep a checkpoint and its job's history from being changed until the transaction ends.

    False where it is gone, or has no file of that hash any more.
    """
    query = select(jobs.c.number).join(checkpoints, checkpoints.c.job_number == jobs.c.number).where(checkpoints.c.id == id)
    if connection.execute(query.with_for_update(of=jobs)).first() is None:
        return False
    files = connection.execute(select(checkpoints.c.files).where(checkpoints.c.id == id)).scalar_one_or_none()
    return files is not None and (sha256 is None or any(file["sha256"] == sha256 for file in files))


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that have a row."""
    return set(connection.execute(select(checkpoints.c.id).where(checkpoints.c.id.in_(ids))).scalars())
