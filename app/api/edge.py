"""The outermost layer: a request's id, who may call and how often, how large a body may be, the answer when all else failed."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import Access
from app.api.http_errors import RateLimited
from app.api.problems import problem
from app.api.services import Services
from app.domain.allowance import Allowance
from app.domain.caller import Caller
from app.domain.errors import TrainyardError, Unauthorized, Unavailable
from app.services.history import Overtaken

log = structlog.get_logger()

REQUEST_ID = "X-Request-ID"
# An answer that takes longer, such as a stream, asks so often whether its caller's key is still good.
ASK_AGAIN_SECONDS = 1.0
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}")

BodyLimit = Callable[[str, str], int]


class Edge:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, *, access: Access, body_limit: BodyLimit) -> None:
        self._app = app
        self._access = access
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send, self._access)
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            try:
                await self._answer(scope, receive, exchange)
            finally:
                exchange.note()

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        request = Request(scope)
        try:
            found = await self._access.caller(request)
            scope["state"]["caller"] = caller = replace(found, request_id=exchange.request_id)
            await self._count(request, caller, exchange)
            limit = self._body_limit(scope["method"], scope["path"])
            await self._app(scope, _Bounded(receive, limit, Headers(scope=scope)), exchange.send)
        except TrainyardError as error:
            await problem(request, error)(scope, receive, exchange.send)
        except ClientDisconnect:
            log.info("request.abandoned", method=scope["method"], path=scope["path"])
        except Overtaken:  # the answer stays without its end, which tells that it is not whole
            log.warning("request.overtaken", method=scope["method"], path=scope["path"])
        except _KeyEnded:
            log.info("request.ended", method=scope["method"], path=scope["path"])
            if not exchange.status:
                await problem(request, Unauthorized("The key was revoked or expired meanwhile."))(scope, receive, exchange.send)
        except Exception:
            log.exception("request.crashed", method=scope["method"], path=scope["path"])
            if exchange.status:
                raise
            await problem(request, TrainyardError("Something unexpected happened."))(scope, receive, exchange.send)

    async def _count(self, request: Request, caller: Caller, exchange: "_Exchange") -> None:
        """Requests with a key are counted by its project; the operator is nobody's guest."""
        if caller.key_id is None:
            return
        services: Services = request.app.state.services
        allowance = await services.rates.take(caller.project_id)
        if allowance is not None:
            exchange.headers |= _told(allowance)
            if not allowance.allowed:
                raise RateLimited(allowance)


def _told(allowance: Allowance) -> dict[str, str]:
    return {
        "RateLimit-Policy": f"{allowance.limit};w={allowance.window}",
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.remaining),
        "RateLimit-Reset": str(allowance.reset),
    }


class _KeyEnded(Exception):
    """Raised when the key of a request was revoked, or expired, before its answer was complete."""


class _Exchange:
    """One request and its answer: puts the id on the answer and writes the line in the log."""

    def __init__(self, scope: Scope, send: Send, access: Access) -> None:
        asked = Headers(scope=scope).get(REQUEST_ID, "")
        self.request_id = asked if _ACCEPTED.fullmatch(asked) else f"req_{uuid4().hex}"
        self.status = 0
        self.headers = {REQUEST_ID: self.request_id}
        self._measured = False
        self._scope, self._send, self._access = scope, send, access
        self._began = self._asked = time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        """Pass a message on, as long as the caller may have it."""
        if time.perf_counter() - self._asked >= ASK_AGAIN_SECONDS:
            await self._ask_again()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message).update(self.headers)
        elif not message.get("more_body"):
            self._measure()  # before its end is sent: whoever has an answer finds it counted
        await self._send(message)

    async def _ask_again(self) -> None:
        self._asked = time.perf_counter()
        caller = self._scope["state"].get("caller")
        with suppress(Unavailable):  # asked again with a later piece; while the database is away nothing new comes either
            if caller is not None and not await self._access.holds(Request(self._scope), caller):
                self._scope["state"]["caller"] = None
                raise _KeyEnded

    def _measure(self) -> None:
        if self._measured:
            return
        self._measured = True
        services: Services = self._scope["app"].state.services
        route = getattr(self._scope.get("route"), "path", None)
        services.instruments.answered(self._scope["method"], route, status=self.status, seconds=self._seconds)

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def note(self) -> None:
        """The request's line in the log, and its count where its answer was not sent to the end."""
        self._measure()
        milliseconds = round(1000 * self._seconds, 1)
        about = {"job": id} if (id := self._scope.get("path_params", {}).get("job_id")) else {}
        log.info(
            "request", method=self._scope["method"], path=self._scope["path"], status=self.status, ms=milliseconds, **about
        )


class _Bounded:
    """Reads a body and counts: a declared length over the limit is refused before the first byte."""

    def __init__(self, receive: Receive, limit: int, headers: Headers) -> None:
        self._receive, self._limit, self._read = receive, limit, 0
        length = headers.get("content-length", "")
        self._declared = int(length) if length.isdecimal() else 0

    async def __call__(self) -> Message:
        """The next message."""
        if self._declared > self._limit:
            raise self._too_large()
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise self._too_large()
        return message

    def _too_large(self) -> HTTPException:
        # FastAPI lets an HTTPException pass where it reads bodies, and turns others into a 400.
        return HTTPException(413, f"The body is larger than {self._limit} bytes.")


def limits_by_path(*, default: int, upload: int, uploads: Sequence[tuple[str, str]]) -> BodyLimit:
    """Uploads may be larger than other bodies."""
    large = frozenset(uploads)
    return lambda method, path: upload if (method, path) in large else default
