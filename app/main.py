"""The API process: `python -m app.server app.start:create_app` loads this module and calls `create_app`."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from anyio import move_on_after, to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.routing import Route

from app.api import (
    aliases,
    batch_predictions,
    checkpoints,
    clones,
    comparison,
    datasets,
    evaluations,
    history,
    inference_v2,
    jobs,
    keys,
    metrics,
    models,
    plans,
    predictions,
    problems,
    reference,
    streams,
    sweeps,
    system,
    versions,
)
from app.api.access import Access
from app.api.application import Application
from app.api.at_once import AT_ONCE, OPERATIONS, AtOnce
from app.api.edge import Edge, limits_by_path
from app.api.heads import Heads
from app.api.lane import Lanes
from app.api.queries import methods_of
from app.api.request_log import RequestLog
from app.api.scopes import CheckedScope
from app.api.shutdown import called_on_shutdown
from app.logs import configure_logs
from app.persistence.migrate import require_current
from app.settings import Settings
from app.storage.storage import StorageFailed
from app.wiring import Parts, build

# The first is found first: those that are asked most.
RESOURCES = (
    *(predictions, inference_v2, history, streams, comparison, jobs, clones, evaluations, plans, sweeps),
    *(batch_predictions, datasets, checkpoints, models, versions, aliases, keys, system, metrics, reference),
)
ROUTERS = tuple(resource.router for resource in RESOURCES)
ROUTES = tuple(route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
# How the database is away, and the storage.
AWAY = (OperationalError, InterfaceError, PoolTimeout, StorageFailed)
UPLOADS = (("POST", "/v1/datasets"),)
_STORAGE_SECONDS = 5


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; without settings those of the environment. Nothing is opened before it is started."""
    settings = settings or Settings()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    access, log = Access(key, opened=["/metrics"] if settings.metrics_open else []), RequestLog()
    app = Application(ROUTES, lifespan=partial(_running, settings, access=access, log=log), telemetry=_telemetry())
    framework = [route for route in app.routes if isinstance(route, Route)]
    for router in ROUTERS:
        app.include_router(router, dependencies=[CheckedScope])
    body_limit = limits_by_path(default=settings.max_body_bytes, upload=settings.max_upload_bytes, uploads=UPLOADS)
    app.add_middleware(Heads)
    app.surround(partial(Lanes, routes=[route for route in ROUTES if route.operation_id in OPERATIONS], unavailable=AWAY))
    app.surround(partial(Edge, access=access, body_limit=body_limit, log=log))
    problems.install(app, methods=methods_of([*framework, *ROUTES]), unavailable=AWAY)
    return app


def _telemetry() -> TelemetryConfig:
    """FastAPI's own, where the environment speaks of it: otherwise it would ask the environment with every request."""
    is_heard = any(name.startswith(("OTEL_", "FASTAPI_OTEL_")) for name in os.environ)
    return {"tracing": is_heard, "metrics": is_heard, "logs": is_heard}


@asynccontextmanager
async def _running(settings: Settings, app: FastAPI, *, access: Access, log: RequestLog) -> AsyncIterator[dict[str, AtOnce]]:
    """From an open database to closed connections; SchemaOutdated says what to run."""
    configure_logs(settings.log_level, settings.log_format)
    parts = build(settings)
    try:
        await to_thread.run_sync(require_current, parts.database.engine)
        # A storage that is away, or too slow to wait for, is not so for ever, and `/readyz` says so.
        with suppress(OSError), move_on_after(_STORAGE_SECONDS):
            await to_thread.run_sync(parts.storage.open, abandon_on_cancel=True)
        app.state.services = parts.services
        parts.housekeeper.start()
        parts.janitor.start()
        parts.forgetter.start()
        parts.warmer.start()
        # What is there now stays: without it reading 10 000 epochs has the collector walk through all imported code, 100 ms.
        gc.freeze()
        async with _watching(parts):
            with called_on_shutdown(parts.watcher.close):
                at_once = AtOnce(parts.services, ROUTES, access=access, log=log)
                yield {} if _telemetry()["tracing"] else {AT_ONCE: at_once}  # the framework's own sees what goes through it
        await to_thread.run_sync(parts.housekeeper.stop)
        await to_thread.run_sync(parts.janitor.stop)
        await to_thread.run_sync(parts.forgetter.stop)
        await to_thread.run_sync(parts.warmer.stop)
    finally:
        try:
            await parts.rates.close()
        finally:
            await to_thread.run_sync(parts.close)


@asynccontextmanager
async def _watching(parts: Parts) -> AsyncIterator[None]:
    task = asyncio.create_task(parts.watcher.run())
    try:
        yield
    finally:
        parts.watcher.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
