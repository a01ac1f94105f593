"""Who may call: the holders of keys, or as long as there is none whoever reaches the loopback interface by its own name."""

import ipaddress
from collections.abc import Collection
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.domain.caller import Caller
from app.domain.errors import Forbidden, Unauthorized
from app.domain.keys import digest, matches
from app.services.keyring import Keyring

PROBES = frozenset({"/livez", "/readyz"})
DOCUMENTATION = frozenset({"/", "/docs", "/openapi.json"})


class Access:
    """Answers a request's caller, or raises Unauthorized or Forbidden.

    `key` is the operator's from the environment; the `opened` paths are answered to anybody.
    """

    def __init__(self, key: str | None, *, opened: Collection[str] = ()) -> None:
        self._sha256 = None if key is None else digest(key)
        self._opened = frozenset(opened)

    async def caller(self, request: Request) -> Caller:
        """The caller; probes are nobody's and open to all."""
        path = request.scope["path"]
        if path in PROBES:
            return Caller(scopes=frozenset())
        if path in self._opened:
            return Caller(scopes=frozenset({"admin"}))
        if self._sha256 is None and not await _keyring(request).any_made():
            return _local_caller(request)
        if path in DOCUMENTATION:
            return Caller(scopes=frozenset())
        return await self._key_holder(request)

    async def _key_holder(self, request: Request) -> Caller:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        key = rest.strip()
        if scheme.lower() == "bearer" and self._sha256 is not None and matches(key, self._sha256):
            return Caller()
        found = await _keyring(request).caller(key) if scheme.lower() == "bearer" else None
        if found is None:
            raise Unauthorized("Send the key as `Authorization: Bearer <key>`.")
        return found

    async def holds(self, request: Request, caller: Caller) -> bool:
        """Whether who was found is still allowed, asked during long answers."""
        return caller.key_id is None or await _keyring(request).holds(caller)


def _keyring(request: Request) -> Keyring:
    keyring: Keyring = request.app.state.services.keyring
    return keyring


def _local_caller(request: Request) -> Caller:
    """Without a key a page of another site could reach us through the browser: its name stands in Host or Origin.

    The peer's address is asked for, too: a server started by hand, or a proxy, may listen elsewhere.
    """
    names = [_host_of(f"//{request.headers.get('host', '')}")]
    names += [_host_of(origin) for origin in request.headers.getlist("origin")]
    names += [request.client.host] if request.client else []
    if not all(map(_is_loopback, names)):
        raise Forbidden("No key is configured, so only requests by a loopback name such as localhost are answered.")
    return Caller()


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def caller_of(request: Request) -> Caller:
    """What the edge found."""
    caller: Caller = request.state.caller
    return caller


CallerOf = Annotated[Caller, Depends(caller_of)]
