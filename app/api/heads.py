"""HEAD: what answers GET answers it, too, with the same status and headers and no body."""

from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """ASGI middleware: a HEAD goes on as a GET, and no body comes back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        scope["method"] = "GET"
        with suppress(_Enough):
            await self._app(scope, receive, _Headers(scope, send))


class _Enough(Exception):
    """Raised when an answer has begun whose body would come in pieces: nobody waits for them."""


class _Headers:
    """Passes an answer on without its body."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send

    async def __call__(self, message: Message) -> None:
        """The next message."""
        if message["type"] == "http.response.start":
            self._scope["method"] = "HEAD"  # as the server and the log know it
            await self._send(message)
        else:
            await self._send({"type": "http.response.body"})
            if message.get("more_body"):
                raise _Enough
