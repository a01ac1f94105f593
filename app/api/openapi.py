"""The OpenAPI document: what every operation's description shares, and the application that answers it."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.api.answers import Problem, ProblemFault
from app.api.scopes import scope_of

_WORDS = {
    400: "The body could not be parsed.",
    401: "A key is needed and none, or an unknown one, was sent.",
    403: "The key has not the scope; or no key is configured and the request did not come by a loopback name.",
    404: "There is no such thing in the caller's project.",
    405: "The path has no such method; `Allow` names those it has.",
    409: "The state of the resource does not allow it.",
    413: "The body, or what it unpacks to, passes a limit.",
    415: "The body's content type is none that is read here.",
    416: "The range lies outside the file.",
    422: "Well-formed but invalid; `errors` has every fault and its place.",
    429: "The project has made its requests, or queued its jobs, for now; `Retry-After` says when to come again.",
    500: "What is stored is damaged.",
    503: "Something behind the service does not answer; try again.",
}
_ALWAYS = (401, 403, 422, 429, 503)

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """The problem answers of an operation, beside those that every one has."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    content = {"application/problem+json": {"schema": schema}}
    return {status: {"description": _WORDS[status], "content": content} for status in sorted({*_ALWAYS, *statuses})}


def content(*types: str, description: str) -> dict[str, Any]:
    """An answer of some type that no model describes; JSON is an object."""
    schemas = {type: {"schema": {"type": "object" if type == "application/json" else "string"}} for type in types}
    return {"description": description, "content": schemas}


_ABOUT = """Train multilayer perceptrons on tabular data as REST jobs:
*dataset → spec → job → history → checkpoint → prediction*.

Errors are problem documents (RFC 9457) with a stable `code`; `errors` lists every fault of a request with its place."""


_TAGS = {
    "Datasets": "Immutable rows with a schema.",
    "Jobs": "One training of one network, from a spec.",
    "Sweeps": "Many jobs from one spec with ranges.",
    "History": "Losses and metrics of every epoch, by polling or as a stream.",
    "Checkpoints": "Weights and all that is needed to predict, at one epoch.",
    "Models": "Registered names, whose versions are checkpoints and whose aliases point at versions.",
    "Predictions": "Answers for new rows.",
    "Keys": "Who may call, for which project, and what.",
    "Operations": "Is it alive, is it ready, who trains, what waits.",
}


class Documented(FastAPI):
    """FastAPI with our description; its own pages, which load scripts from elsewhere, are off."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            title="Trainyard",
            version=version("trainyard"),
            description=_ABOUT,
            openapi_tags=[{"name": name, "description": about} for name, about in _TAGS.items()],
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            **arguments,
        )

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if not self.openapi_schema:
            components = super().openapi()["components"]
            _, shared = models_json_schema(
                [(Problem, "serialization"), (ProblemFault, "serialization")], ref_template="#/components/schemas/{model}"
            )
            components["schemas"] |= shared["$defs"]
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            assert self.openapi_schema is not None
            _tell_scopes(self.openapi_schema["paths"])
        assert self.openapi_schema is not None
        return self.openapi_schema


def _tell_scopes(paths: dict[str, Any]) -> None:
    """Say at each operation which scope it needs; without any key none."""
    operations = ((path, method, operation) for path, methods in paths.items() for method, operation in methods.items())
    for path, method, operation in operations:
        scope = scope_of(method.upper(), path, operation["operationId"])
        operation["security"] = [{"key": [scope]}, {}] if scope else []
