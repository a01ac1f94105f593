"""The headers of answers in the document."""

from collections.abc import Mapping
from typing import Any

_NUMBER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}


def _header(description: str, schema: Mapping[str, object], *, required: bool = True) -> dict[str, object]:
    return {"description": description, "schema": schema, "required": required}


HEADERS = {
    "X-Request-ID": _header("The request's id, which stands in the log.", {**_TEXT, "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
    "RateLimit-Policy": _header("How many requests in how many seconds.", _TEXT, required=False),
    "RateLimit-Limit": _header("How many requests the project may make in a window.", _NUMBER, required=False),
    "RateLimit-Remaining": _header("How many of them are left.", _NUMBER, required=False),
    "RateLimit-Reset": _header("In how many seconds there are more.", _NUMBER, required=False),
    "Allow": _header("All methods that the path has.", _TEXT),
    "Retry-After": _header("In how many seconds to come again.", _NUMBER),
    "x-should-retry": _header("`false` where another try will not help.", {"const": "false"}, required=False),
    "WWW-Authenticate": _header("How to send the key.", {"const": "Bearer"}),
    "Location": _header("The path of what was made.", {**_TEXT, "pattern": "^/v1/"}),
    "Idempotency-Replayed": _header("`true` where this is the first answer again.", {"const": "true"}, required=False),
    "ETag": _header("The version that is told, for `If-None-Match`.", _TEXT),
    "Content-Range": _header("Which bytes of how many.", {**_TEXT, "pattern": "^bytes "}),
}
_OF_STATUS = {
    "201": ("Location", "Idempotency-Replayed"),
    "206": ("Content-Range",),
    "401": ("WWW-Authenticate",),
    "405": ("Allow",),
    "409": ("x-should-retry", "Retry-After"),
    "416": ("Content-Range",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
_RETRY_A_CONFLICT = {**HEADERS["Retry-After"], "required": False}
_COUNTED = tuple(name for name in HEADERS if name.startswith("RateLimit-"))


def tell_headers(operation: dict[str, Any], *, counted: bool) -> None:
    """At each answer that is not shared; `counted` says whether requests are counted."""
    answers = operation["responses"]
    for status, answer in answers.items():
        if "$ref" in answer:
            answer.pop("description", None)
            continue
        tagged = ["ETag"] if "304" in answers and status in ("200", "206", "304") else []
        answer["headers"] = headers_of(status, *tagged, counted=counted)


def headers_of(status: str, *more: str, counted: bool) -> dict[str, Any]:
    """What an answer of that status has."""
    names = ("X-Request-ID", *_OF_STATUS.get(status, ()), *more, *(_COUNTED if counted else ()))
    found = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return found | ({"Retry-After": _RETRY_A_CONFLICT} if status == "409" else {})
