"""Answers that need no waiting: made where a request is read, before there is a task or an application for it."""

import re
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute

from app.api.access import Access
from app.api.calls import Call
from app.api.inference_v2 import infer_at_once
from app.api.predictions import predict_at_once
from app.api.replies import Reply
from app.api.request_log import REQUEST_ID, RequestLog, request_id_of
from app.api.scopes import scope_of
from app.api.services import Services
from app.domain.caller import Caller
from app.domain.keys import Scope as KeyScope
from app.services.choices import BEST, Thing

Headers = Sequence[tuple[bytes, bytes]]
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


class AtOnce:
    """Used on one event loop.

    What is not plainly to be answered, faults included, is left to the application, which meets it again.
    """

    def __init__(self, services: Services, routes: Sequence[APIRoute], *, access: Access, log: RequestLog) -> None:
        self._services, self._access, self._log = services, access, log
        self._operations = [_operation(route) for route in routes if route.operation_id in OPERATIONS]
        self._endings = tuple({operation.path.rpartition("/")[2].encode() for operation in self._operations})

    def may_answer(self, method: bytes, url: bytes, headers: Headers) -> bool:
        """Whether it is worth while to wait for the body; of a request whose head is complete."""
        if method != b"POST" or not url.endswith(self._endings) or b"?" in url or b"%" in url:
            return False
        length = b""
        for name, value in headers:
            if name in _UNUSUAL:
                return False
            if name == b"content-length":
                length = value
        return length.isdigit() and int(length) <= self._services.max_body_bytes

    def answer(self, scope: MutableMapping[str, Any], url: bytes, body: bytes) -> Reply | None:
        """The answer, counted and noted in the log; None where it is not one to give at once."""
        began, path, headers = time.perf_counter(), url.decode("ascii"), dict(scope["headers"])
        try:
            operation, names = self._find(path)
            caller = self._caller(scope, operation)
            if caller is None:
                return None
            reply = operation.answer(Call(headers, body, caller, self._services), operation.thing(**names))
        except Exception:  # it is met again on the ordinary way, and told there
            return None
        if reply is not None:
            id = request_id_of(headers.get(REQUEST_ID, b""))
            reply.raw_headers.append((REQUEST_ID, id.encode()))
            seconds = time.perf_counter() - began
            self._services.instruments.answered("POST", operation.path, status=reply.status_code, seconds=seconds)
            self._log.note("POST", path, names.get("job_id"), request_id=id, status=reply.status_code, seconds=seconds)
        return reply

    def _find(self, path: str) -> tuple[_Operation, dict[str, str]]:
        for operation in self._operations:
            if match := operation.pattern.match(path):
                return operation, match.groupdict()
        raise LookupError(path)

    def _caller(self, scope: MutableMapping[str, Any], operation: _Operation) -> Caller | None:
        """None for one who is not known, may not, or is counted, for which others have to be asked."""
        caller = self._access.known(scope, self._services.keyring)
        if caller is None or (operation.scope is not None and operation.scope not in caller.scopes):
            return None
        return None if caller.key_id is not None and self._services.rates.is_counting else caller


def _operation(route: APIRoute) -> _Operation:
    thing, answer = _OPERATIONS[str(route.operation_id)]
    scope = scope_of("POST", route.path, str(route.operation_id))
    return _Operation(route.path, route.path_regex, scope, thing, answer)
