"""What new jobs are resolved against: facts of the caller's datasets, each learned once, however many jobs need it."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path

import polars as pl

from app.domain.blobs import dataset_key
from app.domain.bundles import Bundles
from app.domain.caller import Caller
from app.domain.resolve_split import Described
from app.domain.schema import Column
from app.domain.spec import JobSpec, Split
from app.persistence import datasets
from app.persistence.database import Database
from app.persistence.rows import DatasetRow
from app.services.holding import no_dataset
from app.storage.storage import Storage
from app.tabular.bundles import bundles_of, in_order, read_cells
from app.tabular.counting import complete_rows

# Groups are drawn anew for each seed, and a list of them is as long as the column has different cells.
KEPT_BUNDLES = 4


class Facts:
    """For one request: datasets may be deleted afterwards."""

    def __init__(
        self, caller: Caller, database: Database, storage: Storage, *, known_losses: Callable[[], Collection[str]]
    ) -> None:
        self.caller = caller
        self._database = database
        self._storage = storage
        self.known_losses = cache(known_losses)
        self.find = cache(self._find)
        self.describe = cache(self._describe)
        self._complete = cache(self._count_complete)
        self._cells = cache(self._read_cells)
        self._bundles = lru_cache(KEPT_BUNDLES)(self._order)

    def bundles(self, spec: JobSpec) -> Bundles:
        """The counted cells of the split's column, in the order in which they are dealt."""
        targets = (spec.target,) if isinstance(spec.target, str) else tuple(sorted(spec.target))
        split = Split(method=spec.split.method, column=spec.split.column)
        return self._bundles(spec.dataset, split, targets, spec.seed if split.method == "group" else 0)

    def _find(self, id: str | None) -> DatasetRow | None:
        """The dataset; None where there is no such one, or no id."""
        if id is None:
            return None
        with self._database.read() as connection:
            return datasets.find(connection, id, project_id=self.caller.project_id)

    def _describe(self, id: str | None, place: str) -> Described | None:
        """What is known of the dataset that a spec names at this place; None where there is no such one."""
        dataset = self.find(id)
        if dataset is None:
            return None
        columns = [Column.model_validate(column) for column in dataset.columns]

        def complete(names: Sequence[str]) -> int:
            return self._complete(dataset.id, place, frozenset(names))

        return Described(columns, dataset.rows, complete=complete)

    def _count_complete(self, id: str, place: str, names: frozenset[str]) -> int:
        with self._fetched(id, place) as path:
            return complete_rows(path, sorted(names))

    def _order(self, id: str, split: Split, targets: Sequence[str], seed: int) -> Bundles:
        cells = self._cells(id, split.column, targets)
        return bundles_of(split, in_order(cells, split, seed=seed))

    def _read_cells(self, id: str, column: str, targets: Sequence[str]) -> pl.DataFrame:
        with self._fetched(id, "/dataset") as path:
            return read_cells(path, column, targets=targets)

    @contextmanager
    def _fetched(self, dataset: str, place: str) -> Iterator[Path]:
        """A copy of a stored dataset; Invalid at its place in the spec where it was deleted since it was found."""
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            try:
                path = self._storage.fetch(dataset_key(dataset), Path(folder) / "data.parquet")
            except FileNotFoundError:
                raise no_dataset(place) from None
            yield path
