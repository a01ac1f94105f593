"""How an operation's answers are described where it is declared."""

from collections.abc import Mapping
from typing import Any

from app.api.answers import Answer

Responses = dict[int | str, dict[str, Any]]
Example = str | dict[str, Any] | None

PROBLEMS = {
    400: ("Unparsable", "The body could not be parsed."),
    401: ("Unauthorized", "A key is needed and none, or an unknown one, was sent."),
    403: ("Forbidden", "The key has not the scope; or no key is configured and the request did not come by a loopback name."),
    404: ("NotFound", "There is no such thing in the caller's project."),
    405: ("MethodNotAllowed", "The path has no such method; `Allow` names those it has."),
    409: ("Conflict", "The state of the resource does not allow it."),
    413: ("TooLarge", "The body, or what it unpacks to, passes a limit."),
    415: ("UnsupportedMediaType", "The body's content type is none that is read here."),
    416: ("RangeNotSatisfiable", "The range lies outside the file."),
    422: ("Invalid", "Well-formed but invalid; `errors` has every fault and its place."),
    429: ("TooMany", "The project has made its requests, or queued its jobs, for now; `Retry-After` says when to come again."),
    500: ("Failed", "A fault of the service, or what is stored is damaged."),
    503: ("Unavailable", "Something behind the service does not answer; try again after `Retry-After`."),
}
"""The problem answers by status: what each is called in the document, and what it means."""
_OPEN = (422, 500)
_ALWAYS = (*_OPEN, 401, 403, 429, 503)


def problems(*statuses: int) -> Responses:
    """The problem answers of an operation, beside those that every one has."""
    return _of(*_ALWAYS, *statuses)


def problems_of_a_probe() -> Responses:
    """Those of an operation that is answered to anybody and touches nothing."""
    return _of(*_OPEN)


def _of(*statuses: int) -> Responses:
    return {status: {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"} for status in sorted({*statuses})}


def created(model: type[Answer], *statuses: int) -> Responses:
    """The answers of an operation that creates, and may be repeated with an `Idempotency-Key`."""
    return {**problems(400, 409, 413, 415, *statuses), 201: {"model": model, "description": "It is made, or was before."}}


def media(types: Mapping[str, Example]) -> dict[str, Any]:
    """Media types with an example of each; None for bytes that no text can show."""
    return {type: _shown(example) for type, example in types.items()}


def _shown(example: Example) -> dict[str, Any]:
    if example is None:
        return {"schema": {"type": "string", "format": "binary"}}
    return {"schema": {"type": "string" if isinstance(example, str) else "object"}, "example": example}


def content(types: Mapping[str, Example], *, description: str) -> dict[str, Any]:
    """An answer of some types that no model describes."""
    return {"description": description, "content": media(types)}
