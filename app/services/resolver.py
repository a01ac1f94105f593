"""From a caller's spec to a new job: its datasets found, what the split needs read from them, nothing left open."""

from collections.abc import Collection

from app.domain import ids
from app.domain.caller import Caller
from app.domain.cost import CostLimits
from app.domain.custom import is_custom
from app.domain.resolve import Resolved, resolve
from app.domain.resolve_split import Described, SplitFacts, reads_cells
from app.domain.spec import JobSpec
from app.persistence import workers
from app.persistence.database import Database
from app.persistence.jobs import NewJob
from app.services.facts import Facts
from app.services.holding import no_dataset
from app.storage.storage import Storage


class Resolver:
    """Reads the database, and the storage where counts of cells are needed that no description has; writes nothing."""

    def __init__(self, database: Database, storage: Storage, *, limits: CostLimits, custom_losses: Collection[str]) -> None:
        self._database = database
        self._storage = storage
        self._limits = limits
        self._custom_losses = custom_losses

    def facts(self, caller: Caller) -> Facts:
        """To be shared by all specs of one request."""
        return Facts(caller, self._database, self._storage, known_losses=self._known_losses)

    def _known_losses(self) -> set[str]:
        """Installed here, or on a worker: in a cluster the API has none."""
        with self._database.read() as connection:
            everyone = workers.every(connection)
        return {name for worker in everyone for name in worker.custom_losses} | set(self._custom_losses)

    def new_job(self, spec: JobSpec, facts: Facts) -> NewJob:
        """The job that the spec describes; Invalid where the spec does not fit its datasets."""
        dataset, described = facts.find(spec.dataset), facts.describe(spec.dataset, "/dataset")
        if dataset is None or described is None:
            raise no_dataset("/dataset")
        resolved = self._resolved(spec, described, facts)
        validation, test = facts.find(spec.validation_dataset), facts.find(spec.test_dataset)
        return NewJob(
            id=ids.new_id("job"),
            project_id=dataset.project_id,
            spec=spec,
            resolved_spec=resolved.spec,
            warnings=resolved.warnings,
            dataset_sha256=dataset.sha256,
            validation_dataset_sha256=validation.sha256 if validation else None,
            test_dataset_sha256=test.sha256 if test else None,
            device=spec.device,
            request_id=facts.caller.request_id,
        )

    def _resolved(self, spec: JobSpec, described: Described, facts: Facts) -> Resolved:
        reads = reads_cells(spec, {column.name: column for column in described.columns})
        known = SplitFacts(
            bundles=facts.bundles(spec) if reads else None,
            validation=facts.describe(spec.validation_dataset, "/validation_dataset"),
            test=facts.describe(spec.test_dataset, "/test_dataset"),
        )
        return resolve(
            spec,
            columns=described.columns,
            rows=described.rows,
            facts=known,
            limits=self._limits,
            complete=described.complete,
            custom_losses=facts.known_losses() if is_custom(spec.loss.name) else (),
        )
