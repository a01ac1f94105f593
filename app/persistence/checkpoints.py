"""The checkpoints of a job: rows that stand only once their bytes are durable."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from app.domain.blobs import StoredFile
from app.domain.history import EpochLosses
from app.persistence.database import now
from app.persistence.rows import KINDS, CheckpointRow
from app.persistence.tables import checkpoints, jobs


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
    at its epoch already, that one gets the new kinds, losses and files.
    """
    others = of_job(connection, new.job_number)
    kinds = {row.id: row.kinds - (new.kinds & {"best", "last"}) for row in others}
    if new.id in kinds:
        values = {"losses": new.losses.model_dump(mode="json"), "files": [file.model_dump() for file in new.files]}
        connection.execute(update(checkpoints).where(checkpoints.c.id == new.id).values(values))
    else:
        add(connection, new)
    kinds[new.id] = kinds.get(new.id, frozenset()) | new.kinds
    newest_first = [row.id for row in reversed(of_job(connection, new.job_number))]
    for id in [id for id in newest_first if "periodic" in kinds[id]][keep:]:
        kinds[id] -= {"periodic"}
    dropped = [id for id, left in kinds.items() if not left]
    for id in kinds.keys() - set(dropped):
        _mark(connection, id, kinds=kinds[id])
    connection.execute(delete(checkpoints).where(checkpoints.c.id.in_(dropped)))
    return dropped


def _mark(connection: Connection, id: str, *, kinds: frozenset[str]) -> None:
    values = {f"is_{kind}": kind in kinds for kind in KINDS}
    connection.execute(update(checkpoints).where(checkpoints.c.id == id).values(values))


def forget_after(connection: Connection, number: int, epoch: int) -> None:
    """Remove what a crashed attempt kept beyond its recovery point: it will be trained, and kept, again."""
    connection.execute(delete(checkpoints).where(checkpoints.c.job_number == number, checkpoints.c.epoch > epoch))


def hold(connection: Connection, id: str) -> bool:
    """Keep a checkpoint and its job's history from being changed until the transaction ends; False where it is gone."""
    query = select(jobs.c.number).join(checkpoints, checkpoints.c.job_number == jobs.c.number).where(checkpoints.c.id == id)
    return connection.execute(query.with_for_update(of=jobs)).first() is not None


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that have a row."""
    return set(connection.execute(select(checkpoints.c.id).where(checkpoints.c.id.in_(ids))).scalars())
