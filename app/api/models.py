"""Models over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from app.api.access import CallerOf
from app.api.answers import Listing
from app.api.examples import MODEL
from app.api.model_answers import Model
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import created, problems
from app.api.queries import CheckedQuery, Paging, cursor_of
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.models import ModelSpec
from app.services.idempotency import Transaction
from app.services.models import ModelView

router = APIRouter(prefix="/v1/models", tags=["Models"], dependencies=[CheckedQuery])

_CREATED = created(Model)


class ModelQuery(Paging):
    """Which page of the models."""

    after: Annotated[str | None, cursor_of("mdl")] = None


@router.post("", status_code=201, operation_id="create_model", responses=_CREATED, dependencies=[CheckedValues, CheckedText])
def create(
    spec: Annotated[ModelSpec, Body(openapi_examples=MODEL)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Register a name; 409 where the project has it already. It predicts once it has a version."""
    once = Once(services.idempotency, key_of(caller, idempotency_key, "model", spec))

    def remember(transaction: Transaction, view: ModelView) -> None:
        once.remember(transaction, Model.of(view), location=f"/v1/models/{spec.name}")

    return once.run(lambda: services.models.create(caller, spec, remember))


@router.get("", operation_id="list_models", responses=problems())
def list_models(query: Annotated[ModelQuery, Query()], caller: CallerOf, services: ServicesOf) -> Listing[Model]:
    """Models, newest first."""
    views = services.models.page(caller, query.page("mdl"))
    return Listing[Model].of(views, limit=query.limit, answer=Model.of, cursor=lambda model: model.id)


@router.get("/{name}", operation_id="get_model", responses=problems(404))
def get(name: str, caller: CallerOf, services: ServicesOf) -> Model:
    """One model, and where its aliases point."""
    return Model.of(services.models.find(caller, name))


@router.delete("/{name}", status_code=204, response_class=Response, operation_id="delete_model", responses=problems(404, 409))
def delete(name: str, caller: CallerOf, services: ServicesOf) -> None:
    """Delete a model with its versions and the history of its aliases; 409 while it has an alias."""
    services.models.delete(caller, name)
