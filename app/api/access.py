"""Who may call: the holders of keys, or as long as there is none whoever reaches the loopback interface by its own name."""

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.types import Scope

from app.domain.caller import Caller
from app.domain.errors import Forbidden, Unauthorized
from app.domain.keys import digest, matches
from app.services.keyring import Keyring

PROBES = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
DOCUMENTATION = frozenset({"/", "/docs", "/openapi.json"})
_OPERATOR = Caller()
_HOST = b"host"
_NAMES = frozenset({_HOST, b"origin"})


class Access:
    """Answers a request's caller, or raises Unauthorized or Forbidden.

    `key` is the operator's from the environment; the `opened` paths are answered to anybody.
    """

    def __init__(self, key: str | None, *, opened: Collection[str] = ()) -> None:
        self._sha256 = None if key is None else digest(key)
        self._opened = frozenset(opened)

    async def caller(self, scope: Scope, keyring: Keyring) -> Caller:
        """The caller; probes are nobody's and open to all."""
        path = scope["path"]
        if path in PROBES:
            return Caller(scopes=frozenset())
        if path in self._opened:
            return Caller(scopes=frozenset({"admin"}))
        if self._sha256 is None and (keyring.is_known_empty or not await keyring.any_made()):
            return _local_caller(scope)
        if path in DOCUMENTATION:
            return Caller(scopes=frozenset())
        key = _sent_key(scope)
        found = self._operator(key) or (await keyring.caller(key) if key else None)
        if found is None:
            raise Unauthorized("Send the key as `Authorization: Bearer <key>`.")
        return found

    def known(self, scope: Scope, keyring: Keyring) -> Caller | None:
        """As `caller`, of an operation that needs a scope, without any waiting; None where there would be some, or nobody."""
        if self._sha256 is None and keyring.is_known_empty:
            return _local_caller(scope)
        key = _sent_key(scope)
        return self._operator(key) or (keyring.known(key) if key else None)

    def _operator(self, key: str) -> Caller | None:
        return _OPERATOR if self._sha256 is not None and matches(key, self._sha256) else None


def _sent_key(scope: Scope) -> str:
    """Empty where none was sent."""
    sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, key = sent.decode("latin-1").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _local_caller(scope: Scope) -> Caller:
    """Without a key a page of another site could reach us through the browser: its name stands in Host or Origin.

    The peer's address is asked for, too: a server started by hand, or a proxy, may listen elsewhere.
    """
    client = scope.get("client")
    is_local, has_host = client is None or _is_loopback(client[0]), False
    for name, value in scope["headers"]:
        if name in _NAMES:
            is_local, has_host = is_local and _is_local(name, value), has_host or name == _HOST
    if not is_local or not has_host:
        raise Forbidden("No key is configured, so only requests by a loopback name such as localhost are answered.")
    return _OPERATOR


# The same few names come with every request.
@lru_cache(256)
def _is_local(header: bytes, value: bytes) -> bool:
    text = value.decode("latin-1")
    return _is_loopback(_host_of(f"//{text}" if header == _HOST else text))


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@lru_cache(256)
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
