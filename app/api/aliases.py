"""Aliases of models over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response

from app.api.access import CallerOf
from app.api.answers import Listing
from app.api.examples import MOVE
from app.api.faults import QUERY
from app.api.model_answers import Alias, AliasMove
from app.api.openapi import Responses, problems
from app.api.queries import CheckedQuery, Paging, cursor_of
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.errors import Invalid
from app.domain.models import NAME, MoveSpec, is_alias
from app.persistence.model_rows import MoveRow

router = APIRouter(prefix="/v1/models/{name}/aliases", tags=["Models"], dependencies=[CheckedQuery])

NewName = Annotated[
    str,
    Path(
        pattern=f"^{NAME}$",
        description="Letters, digits, `.`, `_`, `-`; no number, for those are versions.",
        examples=["default"],
        json_schema_extra={"pattern": f"^(?![0-9]+$){NAME}$"},
    ),
]


class MoveQuery(Paging):
    """Which page of an alias's history."""

    after: Annotated[str | None, cursor_of("mov")] = None


_MOVED: Responses = {
    **problems(400, 404, 409, 413, 415, 500),
    200: {"model": Alias, "description": "It points there."},
    201: {"model": Alias, "description": "It is new, and points there."},
}


@router.get("", operation_id="list_model_aliases", responses=problems(404))
def list_aliases(name: str, caller: CallerOf, services: ServicesOf) -> Listing[Alias]:
    """The aliases of a model in the order of their names."""
    return Listing[Alias].whole(Alias.of(name, row) for row in services.aliases.every(caller, name))


@router.get("/{alias}", operation_id="get_model_alias", responses=problems(404))
def get(name: str, alias: str, caller: CallerOf, services: ServicesOf) -> Alias:
    """One alias."""
    return Alias.of(name, services.aliases.find(caller, name, alias))


@router.put("/{alias}", operation_id="move_model_alias", responses=_MOVED, dependencies=[CheckedValues, CheckedText])
def move(
    name: str,
    alias: NewName,
    body: Annotated[MoveSpec, Body(openapi_examples=MOVE)],
    response: Response,
    caller: CallerOf,
    services: ServicesOf,
) -> Alias:
    """Let an alias, a new one too, point at a version.

    Its checkpoint is loaded before: 409 where that cannot be. Every prediction that begins after the answer uses it, at every
    API process; those under way end as they began.
    """
    if not is_alias(alias):
        raise Invalid.at(f"{QUERY}alias", "A number is a version, so no alias has such a name.", code="bad_format")
    moved = services.aliases.move(caller, name, alias, to=body.version)
    if moved.created:
        response.status_code, response.headers["Location"] = 201, f"/v1/models/{name}/aliases/{alias}"
    return Alias.of(name, moved.row)


@router.delete("/{alias}", status_code=204, response_class=Response, operation_id="delete_model_alias", responses=problems(404))
def delete(name: str, alias: str, caller: CallerOf, services: ServicesOf) -> None:
    """Delete an alias; its history stays with the model."""
    services.aliases.delete(caller, name, alias)


@router.get("/{alias}/history", operation_id="list_model_alias_moves", responses=problems(404))
def history(
    name: str, alias: str, query: Annotated[MoveQuery, Query()], caller: CallerOf, services: ServicesOf
) -> Listing[AliasMove]:
    """Who moved an alias from where to where, newest first; also of one that was deleted."""
    rows = services.aliases.history(caller, name, alias, query.page("mov"))

    def answer(row: MoveRow) -> AliasMove:
        return AliasMove.of(name, row)

    return Listing[AliasMove].of(rows, limit=query.limit, answer=answer, cursor=lambda move: move.id)
