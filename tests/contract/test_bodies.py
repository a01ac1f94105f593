"""What the document calls a body is one: whatever is drawn from its schemas, the models find no fault with its form."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import TypeAdapter, ValidationError
from schemathesis import GenerationMode

from app.api.dataset_bodies import DatasetBody
from app.api.inference_answers import InferBody
from app.api.prediction_answers import PredictBody
from app.main import ROUTES
from tests.contract.document import OPERATIONS, Operation, document

# What no schema can say: that one number is less than another, or that a text is a moment to come.
OUR_CHECKS = {"value_error"}
JSON = "application/json"
DOCUMENT = schemathesis.openapi.from_dict(document())


# What is read without models, by the end of its path.
UNREAD: dict[str, Any] = {"datasets": DatasetBody, "predict": PredictBody, "infer": InferBody}


def model_of(operation: Operation) -> TypeAdapter[Any]:
    [route] = [one for one in ROUTES if one.path == operation.path and operation.method in (one.methods or ())]
    unread = UNREAD.get(route.path.rpartition("/")[2])
    model: Any = unread if route.body_field is None else route.body_field.field_info.annotation
    return TypeAdapter(model)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if JSON in one.body], ids=str)
def test_a_body_that_the_document_allows_has_no_fault_in_its_form(operation: Operation) -> None:
    model = model_of(operation)
    drawn = DOCUMENT[operation.path][operation.method].as_strategy(generation_mode=GenerationMode.POSITIVE)

    @given(drawn.filter(lambda case: case.media_type == JSON))
    @settings(max_examples=60, phases=[Phase.generate], derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    def check(case: Any) -> None:
        try:
            model.validate_python(json.loads(json.dumps(case.body)))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            assert [one for one in found if one["type"] not in OUR_CHECKS] == []

    check()
