"""The document, its operations, and what its schemas say of a value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema_rs

from app.main import create_app
from app.settings import Settings

Json = dict[str, Any]


@cache
def document() -> Json:
    """As the application makes it."""
    return create_app(Settings(database_url="sqlite:///none.db", data=Path("none"))).openapi()


def resolved(node: Json) -> Json:
    """What a reference leads to, or the node itself."""
    if "$ref" not in node:
        return node
    found: Any = document()
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return cast(Json, found)


@dataclass(frozen=True)
class Operation:
    """A method of a path, as it is described."""

    method: str
    path: str
    described: Json

    def __str__(self) -> str:
        """The test's id."""
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[Json]:
        """All of them."""
        return cast(list[Json], self.described.get("parameters", []))

    def has(self, name: str) -> bool:
        """Whether there is such a parameter."""
        return name in {parameter["name"] for parameter in self.parameters}

    @property
    def answers(self) -> dict[int, Json]:
        """By status."""
        return {int(status): resolved(answer) for status, answer in self.described["responses"].items()}

    @property
    def body(self) -> Mapping[str, Json]:
        """The body's media types; none where there is no body."""
        return cast(Json, self.described.get("requestBody", {}).get("content", {}))


def _operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described)


OPERATIONS = sorted(_operations(), key=str)


@cache
def _validator(pointer: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**document(), "$ref": pointer}, validate_formats=True)


def faults(schema: Json, value: object) -> list[str]:
    """What a schema of the document finds wrong with a value."""
    found = _validator(schema["$ref"]) if "$ref" in schema else _of(schema)
    return [f"{error.instance_path}: {error.message}" for error in found.iter_errors(value)]


def _of(schema: Json) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]}, validate_formats=True)
