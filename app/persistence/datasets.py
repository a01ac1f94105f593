"""The datasets table."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from app.persistence.database import now
from app.persistence.paging import Page, paged
from app.persistence.rows import DatasetRow
from app.persistence.tables import datasets


@dataclass(frozen=True, kw_only=True)
class NewDataset:
    """A dataset whose Parquet is stored; `bytes` and `sha256` are those of the upload."""

    id: str
    project_id: str
    name: str | None
    rows: int
    bytes: int
    sha256: str
    stored_bytes: int
    columns: list[dict[str, Any]]
    statistics: list[dict[str, Any]]


def add(connection: Connection, new: NewDataset) -> DatasetRow:
    """Store a dataset's description."""
    statement = insert(datasets).values(**vars(new), created_at=now()).returning(*DatasetRow.selected(datasets))
    return DatasetRow.of(connection.execute(statement).one())


_asked = datasets.c.id == bindparam("asked")
_FIND = select(*DatasetRow.selected(datasets)).where(_asked, datasets.c.project_id == bindparam("of_project"))
_HOLD = select(datasets.c.id).where(_asked).with_for_update()


def find(connection: Connection, id: str, *, project_id: str) -> DatasetRow | None:
    """The dataset of that id in that project."""
    return DatasetRow.maybe(connection.execute(_FIND, {"asked": id, "of_project": project_id}).one_or_none())


def statistics(connection: Connection, id: str) -> list[dict[str, Any]]:
    """The statistics of a dataset's columns."""
    found: list[dict[str, Any]] = connection.execute(select(datasets.c.statistics).where(datasets.c.id == id)).scalar_one()
    return found


def page(connection: Connection, *, project_id: str, page: Page) -> list[DatasetRow]:
    """One page of a project's datasets, one row more than asked for where there is more."""
    query = select(*DatasetRow.selected(datasets)).where(datasets.c.project_id == project_id)
    return DatasetRow.all(connection.execute(paged(query, datasets.c.id, page)).all())


@dataclass(frozen=True)
class Totals:
    """What a project keeps."""

    rows: int
    stored_bytes: int


def totals(connection: Connection, *, project_id: str) -> Totals:
    """Of all a project's datasets."""
    sums = (func.coalesce(func.sum(column), 0) for column in (datasets.c.rows, datasets.c.stored_bytes))
    rows, stored_bytes = connection.execute(select(*sums).where(datasets.c.project_id == project_id)).one()
    return Totals(int(rows), int(stored_bytes))


def remove(connection: Connection, id: str) -> None:
    """Forget a dataset; its bytes go after the commit."""
    connection.execute(delete(datasets).where(datasets.c.id == id))


def exists(connection: Connection, id: str) -> bool:
    """True where there is a dataset of that id, whosever it is."""
    return connection.execute(select(datasets.c.id).where(datasets.c.id == id)).first() is not None


def hold(connection: Connection, id: str) -> bool:
    """Lock a dataset until the transaction ends, so that no job begins to need it while it is deleted; False if it is gone."""
    return connection.execute(_HOLD, {"asked": id}).first() is not None


def known(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that have a row."""
    return set(connection.execute(select(datasets.c.id).where(datasets.c.id.in_(ids))).scalars())
