"""The way beside the framework: operations of which every microsecond counts are called without routing and dependencies."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.calls import Call
from app.api.problems import of_absence
from app.api.scopes import scope_of
from app.domain.caller import Caller
from app.domain.errors import TooLarge
from app.domain.keys import Scope as KeyScope

Endpoint = Callable[..., Awaitable[Response]]


@dataclass(frozen=True)
class _Lane:
    """An operation that a POST without a query goes straight to: its endpoint takes a call and what stands in the path."""

    route: APIRoute
    pattern: re.Pattern[str]
    endpoint: Endpoint
    scope: KeyScope | None


class Lanes:
    """ASGI middleware behind the edge. Whatever is not plainly one of its operations is left to the framework."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[APIRoute], unavailable: Sequence[type[Exception]]) -> None:
        self._app = app
        self._lanes = [_lane(route) for route in routes]
        self._endings = tuple({route.path.rpartition("/")[2] for route in routes})
        self._unavailable = tuple(unavailable)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        lane, names = found
        scope["route"], scope["path_params"] = lane.route, names
        state = scope["state"]
        try:
            call = Call(dict(scope["headers"]), await _body(receive), state["caller"], scope["app"].state.services)
            response = await lane.endpoint(**names, call=call)
        except self._unavailable as error:
            raise of_absence(error) from None
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[_Lane, dict[str, str]] | None:
        path: str = scope["path"]
        if scope["method"] != "POST" or scope["query_string"] or not path.endswith(self._endings) or "\0" in path:
            return None
        caller: Caller = scope["state"]["caller"]
        for lane in self._lanes:
            match = lane.pattern.match(path)
            if match and (lane.scope is None or lane.scope in caller.scopes):
                return lane, match.groupdict()
        return None


def _lane(route: APIRoute) -> _Lane:
    scope = scope_of("POST", route.path, str(route.operation_id))
    return _Lane(route, route.path_regex, cast(Endpoint, route.endpoint), scope)


async def _body(receive: Receive) -> bytes:
    """All of it; the edge bounds it."""
    try:
        message = await receive()
        if not message.get("more_body") and message["type"] == "http.request":
            return cast(bytes, message["body"])
        return await _rest(message, receive)
    except HTTPException as refused:
        raise TooLarge(refused.detail) from None


async def _rest(message: Any, receive: Receive) -> bytes:
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message["body"]
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()
    raise ClientDisconnect
