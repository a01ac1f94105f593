"""Query parameters: paging, waiting, and the refusal of those that an endpoint does not have."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.routing import Route

from app.api.faults import QUERY
from app.api.rest import with_the_rest
from app.domain.errors import Fault, NotFound, UnknownCursor
from app.domain.ids import is_id
from app.persistence.paging import Page

MOST_ITEMS = 200
LONGEST_WAIT = 60
LARGEST = 2**31 - 1

# A map has texts, and no maps: `metadata[a][b]` is no entry of it.
_ENTRY = re.compile(r"(\w+)\[((?:(?!\]\[).)*)\]", re.DOTALL)

Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Hold the answer for at most so many seconds.")]


def cursor_of(prefix: str) -> Any:
    """What `after` of a list may be, for the document: the id of one of its items, be it there or gone."""
    about = "The `next` of the page before, or the id of its last item."
    return Field(max_length=64, description=about, json_schema_extra={"pattern": f"^{prefix}_[0-9a-f]{{32}}$"})


class Paging(BaseModel):
    """Keyset paging of a list."""

    limit: int = Field(20, ge=1, le=MOST_ITEMS, description="How many items at most.")
    after: str | None = None
    order: Literal["asc", "desc"] = Field("desc", description="`desc`: the newest first.")

    def page(self, prefix: str) -> Page:
        """As the tables take it, of things whose ids begin so. An item may be gone: those beyond its id follow all the same."""
        if self.after is not None and not is_id(self.after, prefix):
            raise UnknownCursor
        return Page(limit=self.limit, after=self.after, order=self.order)


async def check_query(request: Request) -> None:
    """Refuse unknown query parameters by name; no text that reaches the database holds a NUL."""
    if "\0" in request.scope["path"]:
        raise NotFound("resource at", request.scope["path"])
    route = request.scope["route"]
    known, mapped = _names(route), _mapped(route)
    unknown = [name for name in request.query_params if name not in known and _map_of(name) not in mapped]
    faults = [Fault(f"{QUERY}{name}", "unknown_parameter", "There is no such parameter here.") for name in unknown]
    values = request.query_params.multi_items()
    faults += [Fault(f"{QUERY}{name}", "bad_format", "It holds a NUL.") for name, value in values if "\0" in name + value]
    if faults:
        raise await with_the_rest(request, faults)


CheckedQuery = Depends(check_query)


def _names(route: APIRoute) -> frozenset[str]:
    """The parameters that a route declares, those of a query model by their fields."""
    names: set[str] = set()
    for field in route.dependant.query_params:
        annotation = field.field_info.annotation
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
        names |= {field.alias} if model is None else set(model.model_fields)
    return frozenset(names)


def _mapped(route: APIRoute) -> frozenset[str]:
    """The parameters that a route describes as maps, in the style `deepObject`: `metadata[team]=a`."""
    described = (route.openapi_extra or {}).get("parameters", ())
    return frozenset(parameter["name"] for parameter in described if parameter.get("style") == "deepObject")


def _map_of(name: str) -> str | None:
    found = _ENTRY.fullmatch(name)
    return found[1] if found else None


def entries_of(request: Request, map: str) -> list[tuple[str, str]]:
    """The entries of such a map, in the order in which they were sent."""
    found = ((_ENTRY.fullmatch(name), value) for name, value in request.query_params.multi_items())
    return [(entry[2], value) for entry, value in found if entry and entry[1] == map]


def methods_of(routes: Sequence[Route]) -> Callable[[str], list[str]]:
    """Answers all methods of a path, whichever operations they belong to; what answers GET answers HEAD."""

    def methods(path: str) -> list[str]:
        fitting = [route for route in routes if route.path_regex.match(path)]
        named = [route for route in fitting if route.path == path]  # one of its own, such as /v1/jobs/plan
        found = {method for route in named or fitting for method in route.methods or ()}
        return sorted(found | ({"HEAD"} if "GET" in found else set()))

    return methods
