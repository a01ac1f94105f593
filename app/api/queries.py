"""Query parameters: paging, waiting, and the refusal of those that an endpoint does not have."""

from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from app.api.faults import QUERY
from app.api.later import parameter_to_come
from app.domain.errors import Fault, Invalid, NotFound, NotSupported
from app.persistence.paging import Page

MOST_ITEMS = 200
LONGEST_WAIT = 60
LARGEST = 2**31 - 1

Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Hold the answer for at most so many seconds.")]


class Paging(BaseModel):
    """Keyset paging of a list."""

    limit: int = Field(20, ge=1, le=MOST_ITEMS)
    after: str | None = Field(None, max_length=64, description="The `next` of the page before, or the id of its last item.")
    order: Literal["asc", "desc"] = "desc"

    @property
    def page(self) -> Page:
        """As the tables take it."""
        return Page(limit=self.limit, after=self.after, order=self.order)


async def check_query(request: Request) -> None:
    """Refuse unknown query parameters by name; no text that reaches the database holds a NUL."""
    if "\0" in request.scope["path"]:
        raise NotFound("resource at", request.scope["path"])
    known = _names(request.scope["route"])
    unknown = [name for name in request.query_params if name not in known]
    if to_come := [name for name in unknown if parameter_to_come(name)]:
        detail = "This parameter is not part of this version yet."
        raise NotSupported([Fault(f"{QUERY}{name}", "not_supported", detail) for name in to_come])
    faults = [Fault(f"{QUERY}{name}", "unknown_parameter", "There is no such parameter here.") for name in unknown]
    values = request.query_params.multi_items()
    faults += [Fault(f"{QUERY}{name}", "bad_format", "It holds a NUL.") for name, value in values if "\0" in value]
    if faults:
        raise Invalid(faults)


CheckedQuery = Depends(check_query)


def _names(route: APIRoute) -> frozenset[str]:
    """The parameters that a route declares, those of a query model by their fields."""
    names: set[str] = set()
    for field in route.dependant.query_params:
        annotation = field.field_info.annotation
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
        names |= {field.alias} if model is None else set(model.model_fields)
    return frozenset(names)


def methods_of(routers: Iterable[APIRouter]) -> Callable[[str], list[str]]:
    """Answers all methods of a path, whichever operations they belong to."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    def methods(path: str) -> list[str]:
        return sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})

    return methods
