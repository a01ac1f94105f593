"""The document: whole, with examples that are true, and with names that stay."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from openapi_spec_validator import validate

from app.domain.fault_codes import FaultCode
from tests.contract.document import OPERATIONS, Json, Operation, document, faults, resolved
from tests.security import routes

PROBLEM = "application/problem+json"
ROOT = Path(__file__).parents[2]
# Generated clients are written against these: one may be added, none renamed.
STAY = {
    *("create_dataset", "list_datasets", "get_dataset", "delete_dataset", "get_dataset_columns", "preview_dataset"),
    *("download_dataset", "create_job", "list_jobs", "get_job", "delete_job", "cancel_job", "pause_job", "resume_job"),
    *("get_job_code", "list_job_events", "clone_job", "plan_job", "get_history", "stream_job", "compare_histories"),
    *("list_checkpoints", "get_checkpoint", "download_checkpoint_file", "predict", "create_sweep", "list_sweeps"),
    *("get_sweep", "cancel_sweep", "list_sweep_jobs", "create_key", "list_keys", "revoke_key"),
    *("livez", "readyz", "get_system", "get_metrics", "evaluate_job", "create_model", "list_models", "get_model"),
    *("delete_model", "register_model_version", "list_model_versions", "get_model_version", "delete_model_version"),
    *("list_model_aliases", "get_model_alias", "move_model_alias", "delete_model_alias", "list_model_alias_moves"),
    *("predict_model", "predict_model_version", "predict_checkpoint", "infer", "infer_version", "get_inference_server"),
    *("is_inference_server_live", "is_inference_server_ready", "get_inference_model", "get_inference_model_version"),
    *("is_inference_model_ready", "is_inference_model_version_ready"),
}
PROBES = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}


def test_it_is_a_document_of_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1")
    validate(document())


def test_it_has_every_operation_and_no_other() -> None:
    described = {str(operation) for operation in OPERATIONS}

    assert described == {str(one) for one in routes.OPERATIONS if one.path not in ("/", "/docs", "/openapi.json")}


def test_operation_ids_are_unique_and_stay() -> None:
    ids = [operation.described["operationId"] for operation in OPERATIONS]

    assert len(ids) == len(set(ids))
    assert set(ids) >= STAY


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_is_told_in_words(operation: Operation) -> None:
    described = operation.described

    assert described["tags"]
    assert described["summary"]
    assert described["description"].endswith(".")
    assert [one["name"] for one in operation.parameters if not one.get("description")] == []
    assert [one["name"] for one in operation.parameters if one["in"] == "path" and "example" not in one] == []
    assert {answer["description"] for answer in operation.answers.values()}.isdisjoint({"", "Successful Response"})


def expected(operation: Operation) -> set[int]:
    """The statuses that follow from what an operation takes."""
    found = {422, 500} if operation.path in PROBES else {401, 403, 422, 429, 500, 503}
    found |= {404} if any(one["in"] == "path" for one in operation.parameters) else set()
    found |= {400, 413, 415} if operation.body else set()
    found |= {409} if operation.has("Idempotency-Key") else set()
    found |= {304} if operation.has("If-None-Match") else set()
    return found | ({206, 416} if operation.has("Range") else set())


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_statuses_that_follow_from_what_an_operation_takes_are_declared(operation: Operation) -> None:
    answers = operation.answers

    assert answers.keys() >= expected(operation)
    assert [status for status in answers if 200 <= status < 300]
    for status, answer in answers.items():
        assert "X-Request-ID" in answer["headers"]
        if status >= 400 and not (operation.path in PROBES and status == 503):
            assert answer["content"].keys() == {PROBLEM}
        if status in (429, 503):
            assert resolved(answer["headers"]["Retry-After"])["required"]


def examples(content: Json) -> Iterator[object]:
    if "example" in content:
        yield content["example"]
    for one in content.get("examples", {}).values():
        yield one["value"]


def is_binary(content: Json) -> bool:
    """True for bytes, also for a part of something, which has no schema."""
    return "schema" not in content or bool(content["schema"].get("format") == "binary")


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.body], ids=str)
def test_a_body_has_examples_and_they_fit(operation: Operation) -> None:
    shown = {type: [*examples(content)] for type, content in operation.body.items()}

    assert any(shown.values())
    assert [type for type, content in operation.body.items() if not shown[type] and not is_binary(content)] == []
    for type, values in shown.items():
        for value in values:
            assert faults(operation.body[type]["schema"], value) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_answer_has_examples_and_they_fit(operation: Operation) -> None:
    for status, answer in operation.answers.items():
        for type, content in answer.get("content", {}).items():
            shown = [*examples(content)]
            assert shown or is_binary(content), (status, type)
            for value in shown:
                assert faults(content["schema"], value) == [], (status, type)


def test_an_example_leaves_nothing_out() -> None:
    for name, schema in document()["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            assert example.keys() == schema["properties"].keys(), name


def problems() -> dict[str, Json]:
    """The examples of problem answers by their code."""
    found = document()["components"]["responses"].values()
    return {code: one["value"] for answer in found for code, one in answer["content"][PROBLEM]["examples"].items()}


def test_every_code_is_shown_with_its_status_as_the_page_on_errors_has_it() -> None:
    page = re.findall(r"^\| `(\w+)` \| (\d+) \|", (ROOT / "docs/errors.md").read_text(), flags=re.MULTILINE)

    assert {code: int(status) for code, status in page} == {code: problem["status"] for code, problem in problems().items()}
    for code, problem in problems().items():
        assert (problem["code"], problem["type"]) == (code, f"/docs#{code}")


def test_the_page_on_errors_has_every_code_of_a_fault() -> None:
    section = (ROOT / "docs/errors.md").read_text().partition("## Faults of a request")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == set(get_args(FaultCode))


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document()))):
        resolved({"$ref": reference})
