"""The words that go with an upload: its name, its schema, and the JSON body with a sample, rows or columns."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic_core import CoreSchema

from app.api.characters import may_be_bad, refuse_bad_texts
from app.api.names import Names
from app.api.widths import refuse_wide
from app.domain.alternatives import faults_of, told_as
from app.domain.errors import Fault, Invalid, Unparsable
from app.domain.faults import validated
from app.domain.schema import Kind
from app.tabular.samples import SAMPLES

SOURCES = {"rows": "DatasetOfRows", "columns": "DatasetOfColumns", "sample": "DatasetOfSample"}
_NOT_FINITE = {"Infinity": "Infinity", "-Infinity": "-Infinity"}
Name = Annotated[str, Field(max_length=200)]
# The reader judges cells; this is what it takes.
Cell = Annotated[object, WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]


class DatasetSchema(BaseModel):
    """What the caller knows of the columns; `{"zip": "categorical"}` alone says the kinds only."""

    model_config = ConfigDict(extra="forbid")

    columns: dict[str, Kind] | None = None
    missing: Annotated[list[str], Field(fail_fast=True)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """A plain mapping from column to kind, with a list of missing markers beside it."""
        if not isinstance(value, dict) or isinstance(value.get("columns"), dict):
            return value
        kinds = dict(value)
        missing = kinds.pop("missing") if isinstance(value.get("missing"), list) else None
        return {"columns": kinds, "missing": missing}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Both forms."""
        whole = handler.resolve_ref_schema(handler(schema))
        [kinds, _], [texts, _] = (whole["properties"][name]["anyOf"] for name in ("columns", "missing"))
        long = {"required": ["columns"], "properties": {"columns": kinds, "missing": whole["properties"]["missing"]}}
        short = {"properties": {"missing": {"anyOf": [texts, kinds["additionalProperties"]]}}, **kinds}
        forms = [
            {"title": "SchemaOfColumns", "type": "object", "additionalProperties": False, **long},
            {"title": "KindsOfColumns", "type": "object", **short},
        ]
        return {"anyOf": forms, "title": whole["title"], "description": whole["description"]}


class DatasetBody(BaseModel):
    """A dataset in JSON: exactly one of `sample`, `rows` and `columns`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=told_as(SOURCES))

    name: Name | None = None
    sample: str | None = Field(None, json_schema_extra={"enum": [*SAMPLES]})
    rows: Annotated[list[dict[str, Cell]], Field(fail_fast=True)] | None = None
    columns: dict[str, list[Cell]] | None = None
    schema_: DatasetSchema | None = Field(None, alias="schema")


class Words(BaseModel):
    """Name and schema of an upload, from the query, from fields of a form or from a JSON body."""

    model_config = ConfigDict(populate_by_name=True)

    name: Name | None = None
    schema_: DatasetSchema | None = Field(None, alias="schema")


def words_of(*, name: str | None, schema: str | None) -> Words:
    """From texts; Invalid with pointers as if both stood in a JSON body."""
    value = {"name": name, "schema": _parsed_schema(schema)}
    refuse_bad_texts(value)
    return validated(Words, value)


def _parsed_schema(text: str | None) -> object:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid.at("/schema", "It is not JSON.", code="bad_format") from None


def read_body(raw: bytes) -> DatasetBody:
    """The JSON body; NaN is a missing value, infinities are the strings that the reader knows."""
    names = Names()
    try:
        value = json.loads(raw, parse_constant=_NOT_FINITE.get, object_pairs_hook=names.once_each)
    except (ValueError, RecursionError):
        raise Unparsable("The body is not JSON.") from None
    if doubled := names.faults(value):
        raise Invalid(doubled)
    if may_be_bad(raw):
        refuse_bad_texts(value)
    refuse_wide(value)
    body = validated(DatasetBody, value)
    if faults := [*_faults_of(body)]:
        raise Invalid(faults)
    return body


def _faults_of(body: DatasetBody) -> Iterator[Fault]:
    yield from faults_of(body, SOURCES)
    if body.sample is not None and body.sample not in SAMPLES:
        yield Fault("/sample", "not_allowed", f"It must be one of {', '.join(SAMPLES)}.")
