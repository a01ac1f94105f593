"""Holds answers against the document, whichever test asked: status, type, headers and form are those that it declares."""

import re
from collections.abc import Mapping
from functools import cache

import httpx2

from tests.contract.document import OPERATIONS, Json, Operation, faults, resolved
from tests.servers.plain import NOBODY

# How errors must not speak: the words of libraries.
FOREIGN = re.compile(r"Input should|Value error|pydantic|validation error|\bNone\b|Traceback")
PROBLEM = "application/problem+json"


def client(url: str, *, seconds: float, headers: Mapping[str, str] | None = None) -> httpx2.Client:
    """A client that does so with every answer."""
    return httpx2.Client(base_url=url, timeout=seconds, headers=headers, event_hooks={"response": [hold]}, verify=NOBODY)


def hold(answer: httpx2.Response) -> None:
    """A client's hook: fails the test where an answer is none that the document has."""
    operation = operation_of(answer.request.method, answer.request.url.path)
    if operation is None:
        return
    asked = f"{operation}: {answer.status_code}"
    assert answer.status_code in operation.answers, f"{asked} is not declared"
    declared = operation.answers[answer.status_code]
    _hold_headers(answer.headers, declared["headers"], asked)
    if answer.request.method != "HEAD" and declared.get("content"):
        _hold_body(answer, declared["content"], asked)


def _hold_headers(sent: Mapping[str, str], declared: Json, asked: str) -> None:
    missing = [name for name, header in declared.items() if resolved(header)["required"] and name not in sent]
    assert not missing, f"{asked} lacks {missing}"


def _hold_body(answer: httpx2.Response, declared: Json, asked: str) -> None:
    type = answer.headers.get("content-type", "").partition(";")[0]
    assert type in declared, f"{asked} as {type!r} is not declared"
    if type in ("application/json", PROBLEM) and "schema" in declared[type]:  # JSON Lines are text, a part has no schema
        answer.read()
        wrong = faults(declared[type]["schema"], answer.json())
        assert not wrong, f"{asked}: {wrong[:3]}"
    if type == PROBLEM:
        assert not FOREIGN.search(answer.text), f"{asked}: {answer.text}"


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Of each path; those without parameters are looked at first."""
    paths = sorted({operation.path for operation in OPERATIONS}, key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in paths]


@cache
def _by_name() -> dict[str, Operation]:
    return {str(operation): operation for operation in OPERATIONS}


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that answers; None where the document has none."""
    found = next((template for pattern, template in _patterns() if pattern.fullmatch(path)), None)
    return _by_name().get(f"{'GET' if method == 'HEAD' else method} {found}")
