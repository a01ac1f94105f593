"""Datasets: stored once as typed Parquet, described, listed, read back, deleted."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.domain.blobs import dataset_key
from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.domain.ids import new_id
from app.domain.schema import Kind
from app.persistence import batch_predictions, datasets, jobs
from app.persistence.database import Database
from app.persistence.datasets import NewDataset
from app.persistence.paging import Page
from app.persistence.rows import DatasetRow
from app.services.keeping import forget, kept
from app.services.quotas import Quotas
from app.services.room import room_for
from app.storage.storage import Storage
from app.tabular.description import Description
from app.tabular.limits import Limits
from app.tabular.reading import describe_rows, describe_upload
from app.tabular.request import Format

HELD = "held-"
"""How the names of folders begin in which datasets are held."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What was uploaded: its size and hash, and the caller's words for it."""

    bytes: int
    sha256: str
    name: str | None = None
    kinds: Mapping[str, Kind] | None = None
    missing: Sequence[str] | None = None


BeforeCommit = Callable[[Connection, DatasetRow], None]


@dataclass(frozen=True)
class _New:
    id: str
    parquet: Path
    description: Description
    origin: Origin


class Datasets:
    """Every method may block: on the database, the storage, or the process that reads an upload."""

    def __init__(self, database: Database, storage: Storage, *, folder: Path, limits: Limits, quotas: Quotas) -> None:
        self._database = database
        self._storage = storage
        self._folder = folder
        self._limits = limits
        self._quotas = quotas

    @room_for("a dataset")
    def store_file(self, caller: Caller, path: Path, *, format: Format, origin: Origin, before_commit: BeforeCommit) -> None:
        """Read an uploaded file in one of the formats; see describe_upload for what is refused."""
        id, parquet = self._new()
        description = describe_upload(
            path, format=format, destination=parquet, limits=self._limits, kinds=origin.kinds, missing=origin.missing
        )
        self._keep(caller, _New(id, parquet, description, origin), before_commit)

    @room_for("a dataset")
    def store_rows(
        self,
        caller: Caller,
        *,
        rows: Sequence[Mapping[str, object]] | None,
        columns: Mapping[str, Sequence[object]] | None,
        origin: Origin,
        before_commit: BeforeCommit,
    ) -> None:
        """Read rows or columns of a JSON body; see describe_rows for what is refused."""
        id, parquet = self._new()
        description = describe_rows(
            destination=parquet,
            rows=rows,
            columns=columns,
            limits=self._limits,
            kinds=origin.kinds,
            missing=origin.missing,
        )
        self._keep(caller, _New(id, parquet, description, origin), before_commit)

    def _new(self) -> tuple[str, Path]:
        id = new_id("ds")
        self._folder.mkdir(parents=True, exist_ok=True)
        return id, self._folder / f"{id}.parquet"

    def _keep(self, caller: Caller, new: _New, before_commit: BeforeCommit) -> None:
        row = _row(caller, new, stored_bytes=new.parquet.stat().st_size)
        try:
            with kept(self._database, self._storage, f"datasets/{new.id}", named=lambda on: datasets.exists(on, new.id)):
                self._storage.put_file(dataset_key(new.id), new.parquet)
                with self._database.write() as connection:
                    self._quotas.check_dataset(connection, row)
                    before_commit(connection, datasets.add(connection, row))
        finally:
            new.parquet.unlink(missing_ok=True)

    def find(self, caller: Caller, id: str) -> DatasetRow:
        """One dataset, or NotFound."""
        with self._database.read() as connection:
            row = datasets.find(connection, id, project_id=caller.project_id)
        if row is None:
            raise NotFound("dataset", id)
        return row

    def page(self, caller: Caller, page: Page) -> list[DatasetRow]:
        """One page, and one row more where there is another."""
        with self._database.read() as connection:
            return datasets.page(connection, project_id=caller.project_id, page=page)

    def statistics(self, caller: Caller, id: str) -> list[dict[str, Any]]:
        """Statistics of the columns."""
        self.find(caller, id)
        with self._database.read() as connection:
            return datasets.statistics(connection, id)

    def local_file(self, row: DatasetRow) -> Path:
        """The Parquet file on this machine; NotFound where it is gone since."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._storage.fetch(dataset_key(row.id), self._folder / f"{row.id}.fetched.parquet")
        except FileNotFoundError:
            raise NotFound("dataset", row.id) from None

    @contextmanager
    def held(self, row: DatasetRow) -> Iterator[Path]:
        """The Parquet file under a name of its own, which stays as long as the block runs; NotFound where it is gone since."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=HELD) as folder:
            held = Path(folder) / "data.parquet"
            try:
                _take(self._storage.fetch(dataset_key(row.id), held), held)
            except FileNotFoundError:
                raise NotFound("dataset", row.id) from None
            yield held

    def stream(self, row: DatasetRow, *, start: int, end: int) -> Iterator[bytes]:
        """The bytes of the stored Parquet from start to before end; NotFound where they are gone since."""
        try:
            return self._storage.stream(dataset_key(row.id), start=start, end=end)
        except FileNotFoundError:
            raise NotFound("dataset", row.id) from None

    def delete(self, caller: Caller, id: str) -> None:
        """Forget a dataset; Conflict while a live job or batch prediction needs it."""
        self.find(caller, id)
        with self._database.write() as connection:
            datasets.hold(connection, id)
            if needing := jobs.needing(connection, id):
                raise Conflict(f"{needing} job(s) that are not over yet need this dataset.")
            if needing := batch_predictions.needing(connection, id):
                raise Conflict(f"{needing} batch prediction(s) that are not over yet need this dataset.")
            datasets.remove(connection, id)
        forget(self._storage, f"datasets/{id}")


def _take(stored: Path, held: Path) -> None:
    """A second name for the stored file, or a copy where another disk allows none; a fetched copy is held already."""
    if stored == held:
        return
    try:
        held.hardlink_to(stored)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(stored, held)


def _row(caller: Caller, new: _New, *, stored_bytes: int) -> NewDataset:
    return NewDataset(
        id=new.id,
        project_id=caller.project_id,
        name=new.origin.name,
        rows=new.description.rows,
        bytes=new.origin.bytes,
        sha256=new.origin.sha256,
        stored_bytes=stored_bytes,
        columns=[column.model_dump(mode="json") for column in new.description.columns],
        statistics=[statistics.model_dump(mode="json") for statistics in new.description.statistics],
    )
