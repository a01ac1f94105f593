"""Schemas as they stand in the document: what pydantic writes, without what is noise or cannot be sent."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from app.api.dataset_bodies import DatasetBody
from app.api.inference_answers import InferBody
from app.api.prediction_answers import PredictBody
from app.api.problem_answers import Problem, ProblemFault

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_NESTED = ("items", "additionalProperties", "propertyNames")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_EXACT = {"pattern", "enum", "const", "format"}
_NULL = {"type": "null"}

Schema = dict[str, Any]

_SHARED = models_json_schema(
    [
        *((Problem, "serialization"), (ProblemFault, "serialization")),
        *((DatasetBody, "validation"), (PredictBody, "validation"), (InferBody, "validation")),
    ],
    ref_template="#/components/schemas/{model}",
)
UNTOLD: dict[str, Schema] = _SHARED[1]["$defs"]
"""The models of which FastAPI does not know: of problems, and of bodies that are read by ourselves."""


def tidy_schemas(schemas: dict[str, Schema]) -> None:
    """Titles that only repeat a name go; a whole bound is a whole number; a default that is an object is told in words.

    Generators of clients have no room for such a default, and want a name for each form that a body may have.
    """
    for schema in [*schemas.values()]:
        for part in _parts(schema):
            _tidy(part)
        for choices in (schema.get(name, []) for name in ("anyOf", "oneOf")):
            for place, choice in enumerate(choices):
                if "title" in choice:
                    schemas[choice["title"]], choices[place] = choice, {"$ref": f"#/components/schemas/{choice['title']}"}


def _parts(schema: object) -> Iterator[Schema]:
    """A schema and all that stand in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    inner = [*schema.get("properties", {}).values(), *(schema.get(name) for name in _NESTED)]
    for nested in (*inner, *(part for name in _LISTED for part in schema.get(name, ()))):
        yield from _parts(nested)


def _tidy(schema: Schema) -> None:
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
        if isinstance(default := field.get("default"), dict):
            del field["default"]
            if default:
                field["description"] = " ".join([*_described(field), f"Default: `{json.dumps(default)}`."])
    for choice in schema.get("anyOf", ()):
        if isinstance(choice.get("const"), str):  # the same in a word that generators read better among others
            choice["enum"] = [choice.pop("const")]
    for bound in _BOUNDS:
        if schema.get("type") == "integer" and isinstance(schema.get(bound), float):
            schema[bound] = int(schema[bound])


def _described(field: Schema) -> list[str]:
    return [field["description"]] if field.get("description") else []


def tidy_parameters(operation: dict[str, Any]) -> None:
    """A parameter of a query is there or not: it has no way to be null, and no text of it may hold a NUL."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        choices = [choice for choice in schema.pop("anyOf", ()) if choice != _NULL]
        if len(choices) > 1:
            schema["anyOf"] = choices
        elif choices:
            schema |= choices[0]
        for noise in ("title", "description"):
            schema.pop(noise, None)
        for part in _parts(schema):
            _tidy(part)
            if parameter["in"] == "query" and part.get("type") == "string" and not part.keys() & _EXACT:
                part["pattern"] = "^[^\\u0000]*$"
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()
