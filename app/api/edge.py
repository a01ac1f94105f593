"""The outermost layer: a request's id, who may call and how often, how large a body may be, the answer when all else failed."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import Access
from app.api.allowances import headers_of
from app.api.http_errors import RateLimited
from app.api.problems import problem, told_problem
from app.api.request_log import REQUEST_ID, RequestLog, request_id_of
from app.api.services import Services
from app.domain.caller import Caller
from app.domain.errors import TrainyardError, Unauthorized, Unavailable
from app.services.history import Overtaken

log = structlog.get_logger()

_CONTENT_LENGTH = b"content-length"
# An answer that takes longer, such as a stream, asks so often whether its caller's key is still good.
ASK_AGAIN_SECONDS = 1.0

BodyLimit = Callable[[str, str], int]


class Edge:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, *, access: Access, body_limit: BodyLimit, log: RequestLog) -> None:
        self._app = app
        self._access = access
        self._body_limit = body_limit
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        # The server gives each request a task, and so a context, of its own.
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        try:
            await self._answer(scope, receive, exchange)
        finally:
            exchange.note(self._log)

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            found = await self._access.caller(scope, exchange.services.keyring)
            scope["state"]["caller"] = caller = found.asking(exchange.request_id)
            if caller.key_id is not None:
                await self._count(caller, exchange)
            limit = self._body_limit(scope["method"], scope["path"])
            await self._app(scope, _Bounded(receive, limit, exchange.content_length), exchange.send)
        except TrainyardError as error:
            await told_problem(Request(scope), error)(scope, receive, exchange.send)
        except ClientDisconnect:
            log.info("request.abandoned", method=scope["method"], path=scope["path"])
        except Overtaken:  # the answer stays without its end, which tells that it is not whole
            log.warning("request.overtaken", method=scope["method"], path=scope["path"])
        except _KeyEnded:
            log.info("request.ended", method=scope["method"], path=scope["path"])
            if not exchange.status:
                ended = Unauthorized("The key was revoked or expired meanwhile.")
                await problem(Request(scope), ended)(scope, receive, exchange.send)
        except Exception:
            log.exception("request.crashed", method=scope["method"], path=scope["path"])
            if exchange.status:
                raise
            unexpected = TrainyardError("Something unexpected happened.")
            await problem(Request(scope), unexpected)(scope, receive, exchange.send)

    async def _count(self, caller: Caller, exchange: "_Exchange") -> None:
        """Requests with a key are counted by its project; the operator is nobody's guest."""
        allowance = await exchange.services.rates.take(caller.project_id)
        if allowance is not None:
            exchange.headers += headers_of(allowance)
            if not allowance.allowed:
                raise RateLimited(allowance)


class _KeyEnded(Exception):
    """Raised when the key of a request was revoked, or expired, before its answer was complete."""


class _Exchange:
    """One request and its answer: puts the id on the answer and writes the line in the log."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._began = self._asked = time.perf_counter()
        self._scope, self._send = scope, send
        self._seconds: float | None = None
        self.services: Services = scope["app"].state.services
        self.status = 0
        self.content_length, asked = b"", b""
        for name, value in scope["headers"]:
            if name == REQUEST_ID:
                asked = value
            elif name == _CONTENT_LENGTH:
                self.content_length = value
        self.request_id = request_id_of(asked)
        self.headers = [(REQUEST_ID, self.request_id.encode())]
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        """Pass a message on, as long as the caller may have it."""
        if time.perf_counter() - self._asked >= ASK_AGAIN_SECONDS:
            await self._ask_again()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.headers]
        elif not message.get("more_body"):
            self._measure()  # before its end is sent: whoever has an answer finds it counted
        await self._send(message)

    async def _ask_again(self) -> None:
        self._asked = time.perf_counter()
        caller = self._scope["state"].get("caller")
        with suppress(Unavailable):  # asked again with a later piece; while the database is away nothing new comes either
            if caller is not None and not await self.services.keyring.holds(caller):
                self._scope["state"]["caller"] = None
                raise _KeyEnded

    def _measure(self) -> float:
        """How long it took, counted once."""
        if self._seconds is None:
            self._seconds = seconds = time.perf_counter() - self._began
            route = getattr(self._scope.get("route"), "path", None)
            self.services.instruments.answered(self._scope["method"], route, status=self.status, seconds=seconds)
        return self._seconds

    def note(self, log: RequestLog) -> None:
        """The request's line in the log, and its count where its answer was not sent to the end."""
        scope, seconds = self._scope, self._measure()
        job = scope.get("path_params", {}).get("job_id")
        log.note(scope["method"], scope["path"], job, request_id=self.request_id, status=self.status, seconds=seconds)


class _Bounded:
    """Reads a body and counts: a declared length over the limit is refused before the first byte."""

    def __init__(self, receive: Receive, limit: int, length: bytes) -> None:
        self._receive, self._limit, self._read = receive, limit, 0
        self._declared = int(length) if length.isdigit() else 0

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
