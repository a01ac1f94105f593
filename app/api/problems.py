"""Problem documents (RFC 9457): the one place where errors become HTTP answers."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.api import http_errors
from app.api.beside import faults_beside
from app.api.faults import HEADER, QUERY, faults_of
from app.api.http_errors import HttpError
from app.api.later import path_to_come
from app.domain import errors
from app.domain.disk import FULL
from app.domain.errors import Fault, TrainyardError
from app.domain.faults import MOST_FAULTS
from app.storage.storage import StorageFailed

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[TrainyardError], int] = {
    errors.Unparsable: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    http_errors.NotHereYet: 404,
    http_errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.InFlight: 409,
    errors.TooLarge: 413,
    errors.QuotaExceeded: 413,
    errors.UnsupportedMediaType: 415,
    http_errors.RangeNotSatisfiable: 416,
    errors.Invalid: 422,
    errors.NotSupported: 422,
    errors.KeyReused: 422,
    errors.InvalidData: 422,
    errors.QueueFull: 429,
    http_errors.RateLimited: 429,
    errors.UnknownCursor: 422,
    errors.Unavailable: 503,
    errors.Damaged: 500,
    errors.ContentDamaged: 500,
    errors.TrainyardError: 500,
}
_HEADERS: dict[int | type[TrainyardError], dict[str, str]] = {
    errors.InFlight: {"Retry-After": "1"},
    401: {"WWW-Authenticate": "Bearer"},
    409: {"x-should-retry": "false"},
    413: {"Connection": "close"},
    429: {"Retry-After": "30"},
    503: {"Retry-After": "2"},
}
# The Open Inference Protocol's paths, whose clients read the text of `error`.
_PROTOCOL = re.compile("/v2(/|$)")
_OF_STATUS = {400: errors.Unparsable, 413: errors.TooLarge, 415: errors.UnsupportedMediaType}

Methods = Callable[[str], list[str]]


def status_of(error: TrainyardError) -> int:
    """The HTTP status of an error: that of its nearest class in the table."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def problem(request: Request, error: TrainyardError) -> Response:
    """The answer for an error."""
    document = document_of(error, instance=request.url.path, request_id=getattr(request.state, "request_id", None))
    headers = error.headers if isinstance(error, HttpError) else _HEADERS.get(type(error), _HEADERS.get(status_of(error)))
    return Response(_dumps(document), status_code=status_of(error), media_type=MEDIA_TYPE, headers=headers)


def told_problem(request: Request, error: TrainyardError) -> Response:
    """As `problem`; what is the service's own fault stands in the log."""
    if status_of(error) >= 500:
        log.error("request.failed", code=error.code)
    return problem(request, error)


def document_of(error: TrainyardError, *, instance: str, request_id: str | None) -> dict[str, object]:
    """The body for an error."""
    document: dict[str, object] = {
        "type": f"/docs#{error.code}",
        "title": error.title,
        "status": status_of(error),
        "detail": _detail(error),
        "instance": instance,
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, errors.Invalid):
        document["errors"] = [_entry(fault) for fault in error.faults]
    if _PROTOCOL.match(instance):
        document["error"] = document["detail"]
    return document


def _dumps(document: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:  # a lone surrogate in what was sent: JSON has no place for it
        clean = {name: _clean(value) for name, value in document.items()}
        return orjson.dumps(clean)


def _clean(value: object) -> object:
    if isinstance(value, list):
        return [{name: _clean(text) for name, text in entry.items()} for entry in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _detail(error: TrainyardError) -> str:
    if not isinstance(error, errors.Invalid):
        return error.detail
    return "; ".join(f"{_place(fault)[1] or '/'}: {fault.detail}" for fault in error.faults)


def _entry(fault: Fault) -> dict[str, str]:
    member, place = _place(fault)
    return {member: place, "code": fault.code, "detail": fault.detail}


def _place(fault: Fault) -> tuple[str, str]:
    """A fault of the body has a pointer, one of the query a parameter, one of a header its name."""
    if fault.pointer.startswith(QUERY):
        return "parameter", fault.pointer[1:]
    if fault.pointer.startswith(HEADER):
        return "header", fault.pointer[1:]
    return "pointer", fault.pointer


def install(app: FastAPI, *, methods: Methods, unavailable: Sequence[type[Exception]]) -> None:
    """Register the handlers; `methods` answers what a path allows, `unavailable` are the ways in which what we need is away."""

    def on_http(request: Request, exception: HTTPException) -> Response:
        return problem(request, _of_http(request, exception, methods))

    def on_invalid(request: Request, exception: RequestValidationError) -> Response:
        return problem(request, _of_validation(request, exception, unavailable))

    def on_absence(request: Request, exception: Exception) -> Response:
        return problem(request, of_absence(exception))

    app.add_exception_handler(TrainyardError, _on_trainyard_error)
    app.add_exception_handler(RequestValidationError, on_invalid)  # type: ignore[arg-type]  # starlette wants the widest
    app.add_exception_handler(HTTPException, on_http)  # type: ignore[arg-type]  # starlette wants the widest exception
    for cls in unavailable:
        app.add_exception_handler(cls, on_absence)


def of_absence(exception: Exception) -> errors.Unavailable:
    """Without the words of database or storage, which have statements and paths in them."""
    if isinstance(exception, StorageFailed):
        log.error("storage.failed", error=str(exception))
        return errors.Unavailable("The storage is full." if exception.errno in FULL else "The storage does not answer.")
    log.error("database.unavailable", error=type(exception).__name__)
    full = any(words in str(exception) for words in ("disk is full", "No space left", "disk I/O error"))
    return errors.Unavailable("The database cannot be written: is its disk full?" if full else "The database does not answer.")


def _on_trainyard_error(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, TrainyardError)
    return told_problem(request, exception)


def _of_validation(
    request: Request, exception: RequestValidationError, unavailable: Sequence[type[Exception]]
) -> TrainyardError:
    found = exception.errors()
    if any(error["type"] == "json_invalid" for error in found):
        return errors.Unparsable("The body is not JSON.")
    if isinstance(exception.body, bytes):
        return errors.UnsupportedMediaType("The body must be application/json.")
    faults = faults_of(found, exception.body)
    with suppress(*unavailable):  # the form's faults can be told without the database
        faults += faults_beside(request, exception.body, faults)
    return errors.Invalid(faults[:MOST_FAULTS])


def _of_http(request: Request, exception: HTTPException, methods: Methods) -> TrainyardError:
    path = request.url.path
    if exception.status_code in (404, 405) and (sentence := path_to_come(path)):
        return http_errors.NotHereYet(sentence)
    if exception.status_code == 405:
        return http_errors.MethodNotAllowed(request.method, methods(path))
    if exception.status_code in _OF_STATUS:
        return _OF_STATUS[exception.status_code](_sentence(exception))
    return errors.NotFound("resource at", path) if exception.status_code == 404 else TrainyardError("Something failed.")


def _sentence(exception: HTTPException) -> str:
    text = str(exception.detail or HTTPStatus(exception.status_code).phrase)
    return re.sub(r"[^.]$", r"\g<0>.", text)
