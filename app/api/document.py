"""The document at /openapi.json: what FastAPI knows of the operations, and what all of them share."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.document_examples import show_answers, show_models, show_parameters, show_requests
from app.api.document_headers import HEADERS, tell_headers
from app.api.document_problems import problem_answers
from app.api.document_schemas import UNTOLD, tidy_parameters, tidy_schemas
from app.api.scopes import scope_of

_ABOUT = """Train multilayer perceptrons on tabular data as REST jobs:
*dataset → spec → job → history → checkpoint → prediction*.

Errors are problem documents (RFC 9457) with a stable `code`; `errors` lists every fault of a request with its place.
What answers GET answers HEAD, too, without a body; any other method is a 405 whose `Allow` names all that there are.
A request's `X-Request-ID` is taken over where it is 1 to 128 letters, digits, `.`, `_` and `-`."""
_TAGS = {
    "Datasets": "Immutable rows with a schema.",
    "Jobs": "One training of one network, from a spec.",
    "Sweeps": "Many jobs from one spec with ranges.",
    "History": "Losses and metrics of every epoch, by polling or as a stream.",
    "Checkpoints": "Weights and all that is needed to predict, at one epoch.",
    "Models": "Registered names, whose versions are checkpoints and whose aliases point at versions.",
    "Predictions": "Answers for new rows, at once, or for all rows of a dataset, by the workers.",
    "Inference": "The same answers by the Open Inference Protocol, which clients of other servers speak.",
    "Keys": "Who may call, for which project, and what.",
    "Operations": "Is it alive, is it ready, who trains, what waits.",
}
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `POST /v1/keys`, or the operator's. As long as there is none, requests to a loopback name pass.",
}


class Documented(FastAPI):
    """FastAPI with our description; its own pages, which load scripts from elsewhere, are off."""

    def __init__(self, routes: Sequence[APIRoute], **arguments: Any) -> None:
        self._described = [route for route in routes if route.include_in_schema]
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
            self.openapi_schema = _complete(super().openapi(), self._described)
        return self.openapi_schema


def _complete(document: dict[str, Any], routes: Sequence[APIRoute]) -> dict[str, Any]:
    components = document["components"]
    components["schemas"] |= UNTOLD
    components |= {"securitySchemes": {"key": _KEY}, "headers": HEADERS, "responses": problem_answers()}
    tidy_schemas(components["schemas"])
    show_models(components["schemas"])
    show_requests(routes, document["paths"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scope = scope_of(method.upper(), path, operation["operationId"])
            operation["security"] = [{"key": [scope]}] if scope else []
            operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
            tidy_parameters(operation)
            tell_headers(operation, counted=scope is not None)
            show_parameters(operation, path)
            show_answers(operation, components["schemas"])
    return document
