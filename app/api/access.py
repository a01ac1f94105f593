"""Who may call: the admin key, or without one only whoever reaches the loopback interface by its own name."""

import hashlib
import hmac
import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.domain.caller import Caller
from app.domain.errors import Forbidden, Unauthorized

PROBES = frozenset({"/livez", "/readyz"})
DOCUMENTATION = frozenset({"/", "/docs", "/openapi.json"})


class Access:
    """Answers a request's caller, or raises Unauthorized or Forbidden."""

    def __init__(self, key: str | None) -> None:
        self._digest = None if key is None else _digest(key)

    def caller(self, request: Request) -> Caller:
        """The caller; probes are nobody's and open to all."""
        path = request.scope["path"]
        if path in PROBES:
            return Caller(scopes=frozenset())
        if self._digest is None:
            return _local_caller(request)
        if path in DOCUMENTATION:
            return Caller(scopes=frozenset())
        return self._key_holder(request, self._digest)

    def _key_holder(self, request: Request, digest: bytes) -> Caller:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(key.strip()), digest):
            raise Unauthorized("Send the key as `Authorization: Bearer <key>`.")
        return Caller()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _local_caller(request: Request) -> Caller:
    """Without a key a page of another site could reach us through the browser: its name stands in Host or Origin."""
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if not _is_loopback(f"//{host}") or (origin is not None and not _is_loopback(origin)):
        raise Forbidden("No key is configured, so only requests by a loopback name such as localhost are answered.")
    return Caller()


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def caller_of(request: Request) -> Caller:
    """What the edge found."""
    caller: Caller = request.state.caller
    return caller


CallerOf = Annotated[Caller, Depends(caller_of)]
