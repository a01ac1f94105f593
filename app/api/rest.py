"""What else is wrong with a request that is refused before the models have seen it: all faults are told at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import request_params_to_args
from fastapi.routing import APIRoute

from app.api.characters import bad_texts
from app.api.faults import faults_of
from app.api.widths import MOST_MEMBERS
from app.domain.errors import Fault, Invalid
from app.domain.faults import MOST_FAULTS


async def with_the_rest(request: Request, found: Sequence[Fault]) -> Invalid:
    """These faults, and those that the models find."""
    route: APIRoute = request.scope["route"]
    body = await _body(request, route)
    errors = [*_of_parameters(request, route), *_of_body(route, body)]
    faults = {fault.pointer: fault for fault in [*faults_of(errors, body), *bad_texts(body), *found]}
    return Invalid([*faults.values()][:MOST_FAULTS])


def _of_parameters(request: Request, route: APIRoute) -> list[Mapping[str, Any]]:
    _, of_query = request_params_to_args(route.dependant.query_params, request.query_params)
    _, of_headers = request_params_to_args(route.dependant.header_params, request.headers)
    return [*of_query, *of_headers]


def _of_body(route: APIRoute, body: object) -> list[dict[str, Any]]:
    return [] if body is None or route.body_field is None else route.body_field.validate(body, loc=("body",))[1]


async def _body(request: Request, route: APIRoute) -> object:
    """The JSON body that the models would get; None where there is none, or where its faults may be too many."""
    if route.body_field is None or (await request.body()).count(b",") >= MOST_MEMBERS:
        return None
    try:
        return await request.json()
    except ValueError:
        return None
