"""Which class stands behind which URL: the one place where the parts of the API process are made."""

from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from app.api.services import Services
from app.domain.cost import CostLimits
from app.domain.custom import ENTRY_POINTS
from app.domain.quota import Quota
from app.persistence.database import Database
from app.persistence.stored import oldest
from app.queueing.celery import Doorbell
from app.queueing.rates import RedisRates
from app.services.admission import Admission
from app.services.aliases import Aliases
from app.services.batch_contents import BatchContents
from app.services.batch_creation import BatchCreation
from app.services.batch_predictions import BatchPredictions
from app.services.batch_sources import BatchSources
from app.services.checkpoints import Checkpoints
from app.services.choices import Choices
from app.services.clones import Clones
from app.services.datasets import Datasets
from app.services.evaluations import Evaluations
from app.services.health import Health
from app.services.history import Bodies, Histories, body_bytes
from app.services.idempotency import Idempotency
from app.services.jobs import Jobs
from app.services.keyring import Keyring
from app.services.keys import Keys
from app.services.metrics import Metrics
from app.services.models import Models
from app.services.plans import Plans
from app.services.ports import Bell, Rates
from app.services.predictions import PredictionLimits, Predictions
from app.services.quotas import Quotas
from app.services.resolver import Resolver
from app.services.samples import Samples
from app.services.scripts import Scripts
from app.services.sketches import Sketches
from app.services.starts import Starts
from app.services.streams import Streams
from app.services.sweeps import Sweeps
from app.services.uploads import Uploads
from app.services.versions import Versions
from app.services.watcher import Watcher
from app.serving.sessions import Sessions
from app.settings import Settings
from app.storage.marked import Marked
from app.storage.opening import open_storage
from app.storage.storage import Storage
from app.tabular.limits import Limits
from app.telemetry.instruments import Instruments
from app.telemetry.meters import Meters
from app.upkeep.forgetting import Forgetter
from app.upkeep.housekeeper import Housekeeper
from app.upkeep.janitor import Janitor
from app.upkeep.machine import memory_budget
from app.upkeep.periodically import Periodically
from app.upkeep.warming import Warmer

SILENT_HEARTBEATS = 6


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that has a beginning and an end, and the services made of it."""

    database: Database
    storage: Marked
    doorbell: Doorbell
    rates: RedisRates
    watcher: Watcher
    housekeeper: Housekeeper
    janitor: Periodically
    forgetter: Periodically
    warmer: Periodically
    meters: Meters
    services: Services

    def close(self) -> None:
        """Give back what was opened."""
        self.doorbell.close()
        self.database.close()
        self.meters.close()


def build(settings: Settings) -> Parts:
    """Make the parts; nothing is started and nothing is connected yet."""
    database = Database(settings.resolved_database_url)
    storage = open_storage(settings.resolved_storage_url, oldest=partial(oldest, database))
    doorbell = Doorbell(settings.resolved_redis_url)
    rates = RedisRates(settings.resolved_redis_url, per_minute=settings.rate_limit)
    watcher = Watcher(database, period=settings.watch_seconds)
    housekeeper = Housekeeper(
        database,
        doorbell,
        period=settings.housekeeping_seconds,
        max_crashes=settings.max_crashes,
        silent_seconds=SILENT_HEARTBEATS * settings.heartbeat_seconds,
    )
    janitor = Janitor(database, storage, uploads=uploads_folder(settings), age_seconds=settings.unreferenced_seconds)
    meters = Meters(settings.folder / "meters")
    services = serve(settings, database=database, storage=storage, bell=doorbell, rates=rates, watcher=watcher, meters=meters)
    return Parts(
        database=database,
        storage=storage,
        doorbell=doorbell,
        rates=rates,
        watcher=watcher,
        housekeeper=housekeeper,
        janitor=Periodically(janitor.sweep, name="janitor", period=settings.janitor_seconds),
        forgetter=_forgetter(database, services, period=settings.housekeeping_seconds),
        warmer=_warmer(database, services, period=settings.housekeeping_seconds),
        meters=meters,
        services=services,
    )


def _forgetter(database: Database, services: Services, *, period: float) -> Periodically:
    return Periodically(Forgetter(database, services.predictions.sessions).sweep, name="forgetter", period=period)


def _warmer(database: Database, services: Services, *, period: float) -> Periodically:
    predictions = services.predictions
    return Periodically(Warmer(database, predictions.sessions, predictions).sweep, name="warmer", period=period)


def serve(
    settings: Settings, *, database: Database, storage: Storage, bell: Bell, rates: Rates, watcher: Watcher, meters: Meters
) -> Services:
    """The services over any database, storage and bell."""
    checkpoints = Checkpoints(database, storage)
    resolver = Resolver(database, storage, limits=cost_limits(settings), custom_losses=installed_losses())
    admission = Admission(database, memory=settings.memory_bytes or memory_budget(settings.slots))
    quotas = Quotas(quota(settings))
    jobs = Jobs(database, storage, bell, resolver=resolver, admission=admission, quotas=quotas)
    instruments = Instruments(meters.own)
    sessions = Sessions(limit_bytes=settings.session_cache_bytes)
    predictions = Predictions(checkpoints, sessions, limits=prediction_limits(settings), predicted=instruments.predicted)
    datasets = Datasets(database, storage, folder=uploads_folder(settings), limits=limits(settings), quotas=quotas)
    choices = Choices(database)
    return Services(
        keyring=Keyring(database),
        rates=rates,
        keys=Keys(database),
        datasets=datasets,
        jobs=jobs,
        clones=Clones(jobs, resolver, admission, Starts(database, storage, checkpoints)),
        plans=Plans(database, resolver, admission),
        sweeps=Sweeps(
            database,
            storage,
            bell,
            resolver=resolver,
            admission=admission,
            jobs=jobs,
            quotas=quotas,
            most_trials=settings.max_trials,
        ),
        histories=histories(settings, database, watcher),
        streams=Streams(database, watcher),
        scripts=Scripts(database),
        checkpoints=checkpoints,
        models=Models(database),
        versions=Versions(database, predictions),
        aliases=Aliases(database, predictions),
        choices=choices,
        predictions=predictions,
        evaluations=evaluations(settings, datasets, choices, checkpoints),
        batch_predictions=BatchPredictions(database, storage, bell, watcher),
        batch_creation=BatchCreation(
            database,
            storage,
            bell,
            sources=BatchSources(database, checkpoints),
            quotas=quotas,
            most_part_rows=settings.batch_part_rows,
        ),
        batch_contents=BatchContents(database, storage),
        max_body_bytes=settings.max_body_bytes,
        table_limits=table_limits(settings),
        idempotency=Idempotency(database),
        uploads=Uploads(uploads_folder(settings), most_json_bytes=settings.max_body_bytes),
        health=Health(database, storage, bell, expect_worker=settings.expect_worker),
        metrics=Metrics(database, meters),
        instruments=instruments,
    )


def evaluations(settings: Settings, datasets: Datasets, choices: Choices, checkpoints: Checkpoints) -> Evaluations:
    """Within the limits of one."""
    seconds, most_rows = settings.evaluate_seconds, settings.max_evaluate_rows
    return Evaluations(datasets, choices, checkpoints, seconds=seconds, most_rows=most_rows)


def histories(settings: Settings, database: Database, watcher: Watcher) -> Histories:
    """Half of what may be remembered of them is for sketches, half for answers."""
    half = settings.history_cache_bytes // 2
    samples = Samples(database, Sketches(database, limit_bytes=half))
    return Histories(database, watcher, samples, Bodies(limit_bytes=half, size=body_bytes))


def installed_losses() -> list[str]:
    """The custom losses in this environment by name; loading one would load torch."""
    return sorted(entry_points(group=ENTRY_POINTS).names)


def uploads_folder(settings: Settings) -> Path:
    """Where uploads are received, on the disk of the data folder."""
    return settings.folder / "tmp"


def limits(settings: Settings) -> Limits:
    """The bounds of an upload."""
    return Limits(
        cells=settings.max_cells,
        columns=settings.max_columns,
        cell_bytes=settings.max_cell_bytes,
        inflated_bytes=settings.max_inflated_bytes,
    )


def table_limits(settings: Settings) -> Limits:
    """The bounds of a table in a call that predicts."""
    update = {"inflated_bytes": settings.max_body_bytes, "rows": settings.max_predict_rows}
    return limits(settings).model_copy(update=update)


def prediction_limits(settings: Settings) -> PredictionLimits:
    """The bounds of one call."""
    return PredictionLimits(rows=settings.max_predict_rows, seconds=settings.predict_seconds)


def quota(settings: Settings) -> Quota:
    """What each project may have."""
    return Quota(
        queued_jobs=settings.project_queued_jobs,
        running_jobs=settings.project_running_jobs,
        rows=settings.project_rows,
        stored_bytes=settings.project_stored_bytes,
    )


def cost_limits(settings: Settings) -> CostLimits:
    """What a job may cost."""
    return CostLimits(
        parameters=settings.max_parameters,
        layers=settings.max_layers,
        epochs=settings.max_epochs,
        row_epochs=settings.max_row_epochs,
    )
