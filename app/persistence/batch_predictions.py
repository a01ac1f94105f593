"""The table of batch predictions as the API uses it: add, find, list, and the changes that a caller may ask for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, select, update

from app.domain.blobs import StoredFile
from app.domain.job import TERMINAL, Status
from app.persistence.batch_rows import BatchPredictionRow, PartRow
from app.persistence.database import now
from app.persistence.paging import Page, paged
from app.persistence.tables import batch_parts as parts
from app.persistence.tables import batch_predictions as batches

SECOND = 1_000_000
_NOTHING_YET: dict[str, Any] = dict.fromkeys(
    ("attempt", "crashes", "parts", "predicted", "bytes", "seconds", "warnings_kept", "revision"), 0
)
_DONE_FOR = (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class NewBatchPrediction:
    """What is known when it is created; a copy of what it predicts with is stored already."""

    id: str
    project_id: str
    name: str | None
    job_id: str
    model: str | None
    version: int | None
    checkpoint_id: str
    files: Sequence[StoredFile]
    dataset_id: str
    dataset_sha256: str
    format: Literal["parquet", "csv"]
    rows: int
    part_rows: int
    warnings: Sequence[dict[str, Any]]
    request_id: str | None


def add(connection: Connection, new: NewBatchPrediction) -> BatchPredictionRow:
    """Store a queued one."""
    files = [file.model_dump() for file in new.files]
    values = {**vars(new), **_NOTHING_YET, "files": files, "status": Status.QUEUED, "created_at": now(), "claimable_at": now()}
    statement = insert(batches).values(values).returning(*BatchPredictionRow.selected(batches))
    return BatchPredictionRow.of(connection.execute(statement).one())


def _selected(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*BatchPredictionRow.selected(batches)).where(*conditions)


def find(connection: Connection, id: str, *, project_id: str) -> BatchPredictionRow | None:
    """That of that id in that project."""
    query = _selected(batches.c.id == id, batches.c.project_id == project_id)
    return BatchPredictionRow.maybe(connection.execute(query).one_or_none())


def page(connection: Connection, *, project_id: str, page: Page) -> list[BatchPredictionRow]:
    """One page of a project's, one row more than asked for where there is more."""
    query = paged(_selected(batches.c.project_id == project_id), batches.c.id, page)
    return BatchPredictionRow.all(connection.execute(query).all())


def change_status(connection: Connection, number: int, *, old: Status, new: Status) -> BatchPredictionRow | None:
    """One conditional update; None means that it stood elsewhere meanwhile."""
    values: dict[str, Any] = {"status": new, "revision": batches.c.revision + 1}
    if new.terminal:
        values["finished_at"] = now()
    if new is Status.QUEUED:
        values["claimable_at"] = now()  # it waits from now on, not since it was created
    statement = update(batches).where(batches.c.number == number, batches.c.status == old).values(values)
    return BatchPredictionRow.maybe(
        connection.execute(statement.returning(*BatchPredictionRow.selected(batches))).one_or_none()
    )


def remove(connection: Connection, number: int) -> None:
    """Forget one with its parts; their bytes go after the commit."""
    connection.execute(delete(batches).where(batches.c.number == number))


def parts_of(connection: Connection, number: int) -> list[PartRow]:
    """The durable parts, in the order of their rows."""
    query = select(*PartRow.selected(parts)).where(parts.c.batch_number == number).order_by(parts.c.number)
    return PartRow.all(connection.execute(query).all())


def revisions(connection: Connection, numbers: Collection[int]) -> dict[int, int]:
    """By their numbers; whoever waits for a change asks for it."""
    query = select(batches.c.number, batches.c.revision).where(batches.c.number.in_(numbers))
    return {row.number: row.revision for row in connection.execute(query)}


def needing(connection: Connection, dataset_id: str) -> int:
    """How many live ones still read that dataset."""
    query = select(func.count()).where(batches.c.dataset_id == dataset_id, batches.c.status.not_in(TERMINAL))
    return connection.execute(query).scalar_one()


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that have a row and need their bytes: of one that failed or was cancelled nothing is kept."""
    query = select(batches.c.id).where(batches.c.id.in_(ids), batches.c.status.not_in(_DONE_FOR))
    return set(connection.execute(query).scalars())


def among(connection: Connection, ids: Collection[str], *, project_id: str) -> set[str]:
    """Those of the ids that are the project's."""
    query = select(batches.c.id).where(batches.c.id.in_(ids), batches.c.project_id == project_id)
    return set(connection.execute(query).scalars())


def is_due() -> ColumnElement[bool]:
    """What makes one claimable now."""
    return and_(batches.c.status == Status.QUEUED, batches.c.claimable_at <= now())


def unclaimed(connection: Connection, *, older_than_seconds: float, limit: int) -> list[str]:
    """Ids of the oldest claimable ones that nobody took for a while."""
    border = now() - int(older_than_seconds * SECOND)
    query = select(batches.c.id).where(is_due(), batches.c.claimable_at <= border)
    return list(connection.execute(query.order_by(batches.c.number).limit(limit)).scalars())


def count_queued(connection: Connection, *, project_id: str) -> int:
    """How many of a project wait."""
    query = select(func.count()).where(batches.c.status == Status.QUEUED, batches.c.project_id == project_id)
    return connection.execute(query).scalar_one()


def status_counts(connection: Connection) -> dict[str, int]:
    """How many are in each status that any is in."""
    query = select(batches.c.status, func.count()).group_by(batches.c.status)
    return {row.status: row[1] for row in connection.execute(query)}
