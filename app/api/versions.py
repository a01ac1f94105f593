"""Versions of models over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from app.api.access import CallerOf
from app.api.answers import Listing
from app.api.examples import VERSION
from app.api.model_answers import ModelVersion
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import created, problems
from app.api.queries import CheckedQuery, Paging, cursor_of
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.models import VersionSpec
from app.services.idempotency import Transaction
from app.services.versions import VersionView

router = APIRouter(prefix="/v1/models/{name}/versions", tags=["Models"], dependencies=[CheckedQuery])

_CREATED = created(ModelVersion, 404)


class VersionQuery(Paging):
    """Which page of a model's versions."""

    after: Annotated[str | None, cursor_of("mver")] = None


@router.post(
    "", status_code=201, operation_id="register_model_version", responses=_CREATED, dependencies=[CheckedValues, CheckedText]
)
def register(
    name: str,
    spec: Annotated[VersionSpec, Body(openapi_examples=VERSION)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Register a checkpoint as the next version: 1, 2, …; the first becomes the alias `default`, later ones change no alias.

    The checkpoint, and with it its job, stays as long as a version has it. 409 where it cannot be loaded.
    """
    once = Once(services.idempotency, key_of(caller, idempotency_key, "version", name, spec))

    def remember(transaction: Transaction, view: VersionView) -> None:
        once.remember(transaction, ModelVersion.of(view), location=f"/v1/models/{name}/versions/{view.row.number}")

    return once.run(lambda: services.versions.register(caller, name, spec, remember))


@router.get("", operation_id="list_model_versions", responses=problems(404))
def list_versions(
    name: str, query: Annotated[VersionQuery, Query()], caller: CallerOf, services: ServicesOf
) -> Listing[ModelVersion]:
    """The versions of a model, newest first."""
    views = services.versions.page(caller, name, query.page("mver"))
    return Listing[ModelVersion].of(views, limit=query.limit, answer=ModelVersion.of, cursor=lambda version: version.id)


@router.get("/{version}", operation_id="get_model_version", responses=problems(404))
def get(name: str, version: str, caller: CallerOf, services: ServicesOf) -> ModelVersion:
    """One version, by its number or by an alias."""
    return ModelVersion.of(services.versions.find(caller, name, version))


@router.delete(
    "/{version}",
    status_code=204,
    response_class=Response,
    operation_id="delete_model_version",
    responses=problems(404, 409),
)
def delete(name: str, version: str, caller: CallerOf, services: ServicesOf) -> None:
    """Delete a version; 409 while an alias points at it. Its number is not given again."""
    services.versions.delete(caller, name, version)
