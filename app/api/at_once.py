"""Answers that need no waiting: made where a request is read, before there is a task or an application for it."""

import re
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi.routing import APIRoute

from app.api.access import Access
from app.api.allowances import headers_of
from app.api.calls import Call
from app.api.edge import ASK_AGAIN_SECONDS
from app.api.inference_v2 import infer_at_once
from app.api.predictions import predict_at_once
from app.api.replies import Reply
from app.api.request_log import REQUEST_ID, RequestLog, request_id_of
from app.api.scopes import scope_of
from app.api.services import Services
from app.api.turns import Turns
from app.domain.caller import Caller
from app.domain.errors import TrainyardError
from app.domain.keys import Scope as KeyScope
from app.services.choices import BEST, Thing

AT_ONCE = "at_once"
"""Where the state of the application has it for app/api/protocol.py."""

_OPERATIONS: Mapping[str, tuple[Callable[..., Thing], Callable[[Call, Thing], Reply | None]]] = {
    "predict": (lambda job_id: Thing("job", job_id, BEST), predict_at_once),
    "predict_checkpoint": (lambda checkpoint_id: Thing("checkpoint", checkpoint_id), predict_at_once),
    "predict_model": (lambda name: Thing("model", name), predict_at_once),
    "predict_model_version": (lambda name, version: Thing("model", name, version), predict_at_once),
    "infer": (Thing.named, infer_at_once),
    "infer_version": (Thing.named, infer_at_once),
}
OPERATIONS = frozenset(_OPERATIONS)
# Of a body that is waited for: what is larger is read in a thread.
MOST_BYTES = 4 * 1024 * 1024
# Of a body that is read as soon as it is there: what is larger takes a turn of the loop for itself.
QUICK_BYTES = 64 * 1024
# What the server or the framework does something about.
_UNUSUAL = frozenset(
    {b"content-encoding", b"transfer-encoding", b"expect", b"upgrade", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"}
)


@dataclass(frozen=True)
class _Operation:
    path: str
    pattern: re.Pattern[str]
    scope: KeyScope | None
    thing: Callable[..., Thing]
    answer: Callable[[Call, Thing], Reply | None]


class Begun(NamedTuple):
    """A request whose head may be answered at once; its body is to come."""

    operation: _Operation
    path: str
    names: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    caller: Caller
    at: float
    """When its head was complete and its caller judged, by the clock of `time.perf_counter`."""


class AtOnce:
    """Used on one event loop.

    What is not plainly to be answered, faults included, is left to the application, which meets it again.
    """

    def __init__(self, services: Services, routes: Sequence[APIRoute], *, access: Access, log: RequestLog) -> None:
        self._services, self._access, self._log = services, access, log
        self._operations = [_operation(route) for route in routes if route.operation_id in OPERATIONS]
        self._endings = tuple({operation.path.rpartition("/")[2].encode() for operation in self._operations})
        self._most_bytes = min(services.max_body_bytes, MOST_BYTES)
        self.turns = Turns()

    def begin(self, method: bytes, url: bytes, scope: MutableMapping[str, Any]) -> Begun | None:
        """Of a request whose head is complete; None where it is not worth while to wait for its body."""
        if method != b"POST" or not url.endswith(self._endings) or b"?" in url or b"%" in url:
            return None
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) > self._most_bytes or not _UNUSUAL.isdisjoint(headers):
            return None
        try:
            return self._begun(url.decode("ascii"), headers, scope)
        except TrainyardError:  # it is met again on the ordinary way, and told there
            return None

    def _begun(self, path: str, headers: Mapping[bytes, bytes], scope: MutableMapping[str, Any]) -> Begun | None:
        """None, too, for a caller who is not known, may not, or is to be counted, for which others have to be asked."""
        caller = self._access.known(scope, self._services.keyring)
        if caller is None or (caller.key_id is not None and not self._services.rates.answers_at_once(caller.project_id)):
            return None
        for operation in self._operations:
            if match := operation.pattern.match(path):
                is_allowed = operation.scope is None or operation.scope in caller.scopes
                return Begun(operation, path, match.groupdict(), headers, caller, time.perf_counter()) if is_allowed else None
        return None

    def answer(self, begun: Begun, body: bytes) -> Reply | None:
        """The answer, counted and noted in the log; None where it is not one to give at once."""
        operation, _, names, headers, caller, at = begun
        if time.perf_counter() - at >= ASK_AGAIN_SECONDS:
            return None
        try:
            reply = operation.answer(Call(headers, body, caller, self._services), operation.thing(**names))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # as in `begin`, whatever it is: a panic in Rust is not even an Exception
            return None
        if reply is None or (counted := self._counted(caller)) is None:
            return None
        reply.raw_headers += counted
        self._note(begun, reply)
        return reply

    def _counted(self, caller: Caller) -> list[tuple[bytes, bytes]] | None:
        """The headers that say how the request was counted; None where that cannot be done without asking others."""
        rates = self._services.rates
        if caller.key_id is None or not rates.is_counting:
            return []
        allowance = rates.take_at_once(caller.project_id)
        return None if allowance is None else headers_of(allowance)

    def _note(self, begun: Begun, reply: Reply) -> None:
        operation, path, names, headers, _, at = begun
        id = request_id_of(headers.get(REQUEST_ID, b""))
        reply.raw_headers.append((REQUEST_ID, id.encode()))
        seconds = time.perf_counter() - at  # the wait for its body and its turn too, as on the ordinary way
        self._services.instruments.answered("POST", operation.path, status=reply.status_code, seconds=seconds)
        self._log.note("POST", path, names.get("job_id"), request_id=id, status=reply.status_code, seconds=seconds)


def _operation(route: APIRoute) -> _Operation:
    thing, answer = _OPERATIONS[str(route.operation_id)]
    scope = scope_of("POST", route.path, str(route.operation_id))
    return _Operation(route.path, route.path_regex, scope, thing, answer)
