"""Sweeps over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field

from app.api.access import CallerOf
from app.api.answers import Listing
from app.api.examples import SWEEP
from app.api.faults import QUERY
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import created, problems
from app.api.queries import CheckedQuery, Paging, cursor_of
from app.api.services import ServicesOf
from app.api.sweep_answers import Sweep, TrialJob
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.errors import Invalid
from app.domain.sweep import SweepSpec
from app.services.idempotency import Transaction
from app.services.sweeps import SweepView

router = APIRouter(prefix="/v1/sweeps", tags=["Sweeps"], dependencies=[CheckedQuery])

_CREATED = created(Sweep)


class SweepQuery(Paging):
    """Which page of the sweeps."""

    after: Annotated[str | None, cursor_of("swp")] = None


class TrialQuery(Paging):
    """Which page of a sweep's trials, and in which order."""

    after: Annotated[str | None, cursor_of("job")] = None
    sort: Literal["metric"] | None = Field(None, description="`metric`: the best first, those without a value last.")


@router.post("", status_code=201, operation_id="create_sweep", responses=_CREATED, dependencies=[CheckedValues, CheckedText])
def create(
    sweep: Annotated[SweepSpec, Body(openapi_examples=SWEEP)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Queue one job for each trial: the `spec` with a value set at each path of `search`."""
    once = Once(services.idempotency, key_of(caller, idempotency_key, "sweep", sweep))

    def remember(transaction: Transaction, view: SweepView) -> None:
        once.remember(transaction, Sweep.of(view), location=f"/v1/sweeps/{view.row.id}")

    return once.run(lambda: services.sweeps.create(caller, sweep, remember))


@router.get("", operation_id="list_sweeps", responses=problems())
def list_sweeps(query: Annotated[SweepQuery, Query()], caller: CallerOf, services: ServicesOf) -> Listing[Sweep]:
    """Sweeps, newest first."""
    views = services.sweeps.page(caller, query.page("swp"))
    return Listing[Sweep].of(views, limit=query.limit, answer=Sweep.of, cursor=lambda sweep: sweep.id)


@router.get("/{sweep_id}", operation_id="get_sweep", responses=problems(404))
def get(sweep_id: str, caller: CallerOf, services: ServicesOf) -> Sweep:
    """One sweep: how its trials stand, and the best so far."""
    return Sweep.of(services.sweeps.find(caller, sweep_id))


@router.post("/{sweep_id}/cancel", operation_id="cancel_sweep", responses=problems(404))
def cancel(sweep_id: str, caller: CallerOf, services: ServicesOf) -> Sweep:
    """Stop all live trials and keep what they learned; a sweep that is over is answered unchanged."""
    return Sweep.of(services.sweeps.cancel(caller, sweep_id))


@router.get("/{sweep_id}/jobs", operation_id="list_sweep_jobs", responses=problems(404))
def list_jobs(
    sweep_id: str, query: Annotated[TrialQuery, Query()], caller: CallerOf, services: ServicesOf
) -> Listing[TrialJob]:
    """The trials, newest first, or with `sort=metric` as a leaderboard, which moves while trials train."""
    if query.sort and query.order == "asc":
        raise Invalid.at(f"{QUERY}order", "A leaderboard has the best first.", code="not_allowed")
    if query.sort:
        views = services.sweeps.leaderboard(caller, sweep_id, after=query.after, limit=query.limit)
    else:
        views = services.sweeps.trials(caller, sweep_id, query.page("job"))
    return Listing[TrialJob].of(views, limit=query.limit, answer=TrialJob.of_trial, cursor=lambda job: job.id)
