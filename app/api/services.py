"""What the endpoints are served by, as dependencies."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.services.aliases import Aliases
from app.services.batch_contents import BatchContents
from app.services.batch_creation import BatchCreation
from app.services.batch_predictions import BatchPredictions
from app.services.checkpoints import Checkpoints
from app.services.choices import Choices
from app.services.clones import Clones
from app.services.datasets import Datasets
from app.services.evaluations import Evaluations
from app.services.health import Health
from app.services.history import Histories
from app.services.idempotency import Idempotency
from app.services.jobs import Jobs
from app.services.keyring import Keyring
from app.services.keys import Keys
from app.services.metrics import Metrics
from app.services.models import Models
from app.services.plans import Plans
from app.services.ports import Rates
from app.services.predictions import Predictions
from app.services.scripts import Scripts
from app.services.streams import Streams
from app.services.sweeps import Sweeps
from app.services.uploads import Uploads
from app.services.versions import Versions
from app.tabular.limits import Limits
from app.telemetry.instruments import Instruments


@dataclass(frozen=True, kw_only=True)
class Services:
    """One of each resource's service."""

    keyring: Keyring
    rates: Rates
    keys: Keys
    datasets: Datasets
    jobs: Jobs
    clones: Clones
    plans: Plans
    sweeps: Sweeps
    histories: Histories
    streams: Streams
    scripts: Scripts
    checkpoints: Checkpoints
    models: Models
    versions: Versions
    aliases: Aliases
    choices: Choices
    predictions: Predictions
    evaluations: Evaluations
    batch_predictions: BatchPredictions
    batch_creation: BatchCreation
    batch_contents: BatchContents
    max_body_bytes: int
    table_limits: Limits
    uploads: Uploads
    idempotency: Idempotency
    health: Health
    metrics: Metrics
    instruments: Instruments


async def services_of(request: Request) -> Services:
    """What app/wiring.py made; a coroutine, for FastAPI hands each plain function to a thread."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
