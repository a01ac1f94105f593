"""New batch predictions: what they predict with is found and copied, and their dataset held."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import structlog
from sqlalchemy import Connection

from app.domain.batch_prediction import BatchSpec, part_rows
from app.domain.batch_warnings import Kind, added_up
from app.domain.blobs import batch_folder, batch_model_key, described
from app.domain.caller import Caller
from app.domain.errors import Fault, Invalid
from app.domain.faults import MOST_FAULTS
from app.domain.ids import new_id
from app.domain.manifest import Manifest
from app.domain.reading import reading_of
from app.domain.schema import Column
from app.persistence import batch_predictions, datasets
from app.persistence.batch_predictions import NewBatchPrediction
from app.persistence.batch_rows import BatchPredictionRow
from app.persistence.database import Database
from app.persistence.rows import DatasetRow
from app.services.batch_sources import BatchSources, Source
from app.services.holding import hold, no_dataset
from app.services.keeping import kept
from app.services.ports import Bell
from app.services.quotas import Quotas
from app.storage.storage import Storage
from app.tabular.loading import columns_read

log = structlog.get_logger()

BeforeCommit = Callable[[Connection, BatchPredictionRow], None]


class BatchCreation:
    """Bytes come first, then row and answer in one transaction, then the doorbell. A part has at most `most_part_rows`."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        bell: Bell,
        *,
        sources: BatchSources,
        quotas: Quotas,
        most_part_rows: int,
    ) -> None:
        self._database, self._storage, self._bell = database, storage, bell
        self._sources, self._quotas = sources, quotas
        self._most_part_rows = most_part_rows

    def create(self, caller: Caller, spec: BatchSpec, before_commit: BeforeCommit) -> None:
        """Queue a batch prediction.

        Raises:
            Invalid: something that the body names is not there, or the dataset is not as the checkpoint reads it.
            Conflict: the job has no checkpoint yet.
            QueueFull, QuotaExceeded: too many wait.

        """
        dataset, source = self._dataset(caller, spec), self._sources.find(caller, spec)
        manifest = source.manifest
        columns = [Column.model_validate(column) for column in dataset.columns]
        _check(dataset, columns, manifest)
        new = NewBatchPrediction(
            id=new_id("bp"),
            project_id=caller.project_id,
            name=spec.name,
            job_id=source.chosen.job,
            model=source.chosen.model,
            version=source.chosen.version,
            checkpoint_id=source.chosen.checkpoint,
            files=[described(name, data) for name, data in source.files.items()],
            dataset_id=dataset.id,
            dataset_sha256=dataset.sha256,
            format=spec.format,
            rows=dataset.rows,
            part_rows=part_rows(columns=len(manifest.columns), layers=manifest.spec.layers, most=self._most_part_rows),
            warnings=added_up([], dict.fromkeys(_extra(columns, manifest), 1)),
            request_id=caller.request_id,
        )
        self._keep(caller, new, source, before_commit)
        log.info("batch_prediction.created", batch_prediction=new.id)
        self._bell.ring(new.id, "cpu")

    def _keep(self, caller: Caller, new: NewBatchPrediction, source: Source, before_commit: BeforeCommit) -> None:
        named = lambda on: bool(batch_predictions.known(on, [new.id]))  # noqa: E731
        with kept(self._database, self._storage, batch_folder(new.id), named=named):
            self._storage.put_all({batch_model_key(new.id, file): source.files[file.name] for file in new.files})
            with self._database.write() as connection:
                self._quotas.check_queue(connection, caller, new=1)
                hold(connection, {new.dataset_id: "/dataset"})
                before_commit(connection, batch_predictions.add(connection, new))

    def _dataset(self, caller: Caller, spec: BatchSpec) -> DatasetRow:
        with self._database.read() as connection:
            row = datasets.find(connection, spec.dataset, project_id=caller.project_id)
        if row is None:
            raise no_dataset("/dataset")
        return row


def _check(dataset: DatasetRow, columns: list[Column], manifest: Manifest) -> None:
    """A target is not needed, and a weight neither."""
    reading = replace(reading_of(manifest), targets={}, sample_weight=None)
    flaws = islice(reading.flaws(columns), MOST_FAULTS)
    if faults := [Fault("/dataset", "invalid", f"Column {name!r} of the dataset {dataset.id} {flaw}") for name, flaw in flaws]:
        raise Invalid(faults)


def _extra(columns: list[Column], manifest: Manifest) -> Iterator[Kind]:
    read = columns_read(manifest.spec, manifest.spec.split.column)
    yield from (Kind("extra_column", column.name) for column in columns if column.name not in read)
