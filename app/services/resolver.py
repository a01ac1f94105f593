"""From a caller's spec to a new job: its datasets found, what the split needs read from them, nothing left open."""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app.domain import ids
from app.domain.blobs import dataset_key
from app.domain.bundles import Bundles
from app.domain.caller import Caller
from app.domain.errors import Invalid
from app.domain.resolve import Resolved, resolve
from app.domain.resolve_split import Described, SplitFacts, reads_cells
from app.domain.schema import Column
from app.domain.spec import JobSpec
from app.persistence import datasets, workers
from app.persistence.database import Database
from app.persistence.jobs import NewJob
from app.persistence.rows import DatasetRow
from app.storage.storage import Storage
from app.tabular.bundles import read_bundles
from app.tabular.counting import complete_rows

NO_DATASET = "There is no such dataset."


class Resolver:
    """Reads the database, and the storage where counts of cells are needed that no description has; writes nothing."""

    def __init__(self, database: Database, storage: Storage, *, most_parameters: int, custom_losses: Collection[str]) -> None:
        self._database = database
        self._storage = storage
        self._most_parameters = most_parameters
        self._custom_losses = custom_losses

    def new_job(self, caller: Caller, spec: JobSpec) -> NewJob:
        """The job that the spec describes; Invalid where the spec does not fit its datasets."""
        dataset, validation, test = self._find(caller, spec)
        if dataset is None:
            raise Invalid.at("/dataset", NO_DATASET, code="not_found")
        resolved = self._resolved(spec, dataset, validation, test)
        return NewJob(
            id=ids.new_id("job"),
            project_id=caller.project_id,
            spec=spec,
            resolved_spec=resolved.spec,
            warnings=resolved.warnings,
            dataset_sha256=dataset.sha256,
            validation_dataset_sha256=validation.sha256 if validation else None,
            test_dataset_sha256=test.sha256 if test else None,
            device=spec.device,
        )

    def _resolved(self, spec: JobSpec, dataset: DatasetRow, validation: DatasetRow | None, test: DatasetRow | None) -> Resolved:
        described = self._described(dataset, "/dataset")
        facts = SplitFacts(
            bundles=self._bundles(spec, described),
            validation=self._described(validation, "/validation_dataset") if validation else None,
            test=self._described(test, "/test_dataset") if test else None,
        )
        return resolve(
            spec,
            columns=described.columns,
            rows=described.rows,
            facts=facts,
            most_parameters=self._most_parameters,
            complete=described.complete,
            custom_losses=self._known_losses(),
        )

    def _known_losses(self) -> set[str]:
        """Installed here, or on a worker: in a cluster the API has none."""
        with self._database.read() as connection:
            everyone = workers.every(connection)
        return {name for worker in everyone for name in worker.custom_losses} | set(self._custom_losses)

    def _find(self, caller: Caller, spec: JobSpec) -> list[DatasetRow | None]:
        """The datasets to train, validate and test on; None for one that the spec does not name, or that is not there."""
        asked = (spec.dataset, spec.validation_dataset, spec.test_dataset)
        with self._database.read() as connection:
            return [None if id is None else datasets.find(connection, id, project_id=caller.project_id) for id in asked]

    def _bundles(self, spec: JobSpec, described: Described) -> Bundles | None:
        """The counted cells of the split's column, where the sizes of the parts depend on them."""
        if not reads_cells(spec, {column.name: column for column in described.columns}):
            return None
        targets = [spec.target] if isinstance(spec.target, str) else spec.target
        with self._fetched(spec.dataset, "/dataset") as path:
            return read_bundles(spec.split, path, seed=spec.seed, targets=targets)

    def _described(self, dataset: DatasetRow, place: str) -> Described:
        columns = [Column.model_validate(column) for column in dataset.columns]
        return Described(columns, dataset.rows, complete=partial(self._complete, dataset.id, place))

    def _complete(self, dataset: str, place: str, names: Sequence[str]) -> int:
        with self._fetched(dataset, place) as path:
            return complete_rows(path, names)

    @contextmanager
    def _fetched(self, dataset: str, place: str) -> Iterator[Path]:
        """A copy of a stored dataset; Invalid at its place in the spec where it was deleted since it was found."""
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            try:
                path = self._storage.fetch(dataset_key(dataset), Path(folder) / "data.parquet")
            except FileNotFoundError:
                raise Invalid.at(place, NO_DATASET, code="not_found") from None
            yield path
