"""A request whose body is taken as it is: what the operations of predictions need of it, and no more."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from anyio import to_thread
from fastapi import Depends, Request

from app.api.access import CallerOf
from app.api.inflated import inflated
from app.api.services import Services, ServicesOf
from app.domain.caller import Caller

_ENCODING = b"content-encoding"


class Call(NamedTuple):
    """`headers` by their names in lower case, as they came."""

    headers: Mapping[bytes, bytes]
    sent: bytes
    caller: Caller
    services: Services

    async def body(self) -> bytes:
        """The body without its content encoding, which is taken off in a thread."""
        if _ENCODING not in self.headers:
            return self.sent
        return await to_thread.run_sync(inflated, self.sent, self.headers[_ENCODING], self.services.max_body_bytes)

    def header(self, name: str) -> str:
        """A header's text, empty where there is none."""
        return self.headers.get(name.lower().encode(), b"").decode("latin-1")


async def call_of(request: Request, caller: CallerOf, services: ServicesOf) -> Call:
    """By way of the framework."""
    return Call(dict(request.scope["headers"]), await request.body(), caller, services)


CallOf = Annotated[Call, Depends(call_of)]
