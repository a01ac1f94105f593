"""That answers are held against the document is itself tested: each kind of lie is found."""

from typing import Any

import httpx2
import pytest

from app.api.answer_examples import JOB
from app.api.document_problems import problem_answers
from tests.contract.answers import hold

HEADERS = {"x-request-id": "r"}
NOT_FOUND = problem_answers()["NotFound"]["content"]["application/problem+json"]["examples"]["not_found"]["value"]
PROBLEM = {**HEADERS, "content-type": "application/problem+json"}


def answer(status: int, *, path: str = "/v1/jobs/x", headers: dict[str, str] = HEADERS, json: Any = JOB) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, json=json, request=httpx2.Request("GET", f"http://localhost{path}"))


@pytest.mark.parametrize(
    "true",
    [
        answer(200),
        answer(404, headers=PROBLEM, json=NOT_FOUND),
        answer(418, path="/docs"),
        answer(200, path="/v1/jobs/x/more/than/there/is"),
    ],
    ids=["an answer", "a problem", "no part of the document", "no path of it"],
)
def test_what_is_true_passes(true: httpx2.Response) -> None:
    hold(true)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (answer(418), "418 is not declared"),
        (answer(200, headers={}), "lacks"),
        (answer(429, headers=PROBLEM, json={**NOT_FOUND, "status": 429}), "Retry-After"),
        (answer(200, headers={**HEADERS, "content-type": "text/html"}), "'text/html' is not declared"),
        (answer(200, json={**JOB, "terminal": "yes"}), "terminal"),
        (answer(200, json={name: value for name, value in JOB.items() if name != "progress"}), "progress"),
        (answer(404, headers=PROBLEM, json={**NOT_FOUND, "detail": "Input should be a valid integer"}), "Input should"),
    ],
    ids=["status", "header", "header of a status", "type", "form", "member", "words of a library"],
)
def test_a_lie_is_found(lie: httpx2.Response, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        hold(lie)
