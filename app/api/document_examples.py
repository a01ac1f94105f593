"""Examples in the document: FastAPI leaves out what is null in them, so they are put there as they are."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi.routing import APIRoute

from app.api.answer_examples import IDS
from app.api.answers import Answer

_OF_PATH = {name: (f"The {name.removesuffix('_id')}'s id.", id) for name, id in IDS.items()}
_OF_PATH["version"] = ("A number, or an alias.", "3")
_OF_PATH["alias"] = ("The alias.", "default")
_NAME_OF_A_MODEL = ("The model's name.", "iris")
_NAME_OF_A_FILE = ("The file's name.", "model.onnx")
_UNTOLD = "Successful Response"
_LIST = "One page of a list; `next` is the cursor for `after`."

Json = dict[str, Any]


def show_models(schemas: Json) -> None:
    """Each model as it shows itself."""
    for model in _kinds_of(Answer):
        extra = model.model_config.get("json_schema_extra")
        if model.__name__ in schemas and isinstance(extra, dict):
            schemas[model.__name__] |= extra


def _kinds_of(model: type[Answer]) -> Iterator[type[Answer]]:
    for kind in model.__subclasses__():
        yield kind
        yield from _kinds_of(kind)


def show_requests(routes: Iterable[APIRoute], paths: Json) -> None:
    """The examples of each operation's body."""
    for route in routes:
        shown = getattr(route.body_field and route.body_field.field_info, "openapi_examples", None)
        for method in (route.methods or ()) if shown else ():
            paths[route.path][method.lower()]["requestBody"]["content"]["application/json"]["examples"] = shown


def show_parameters(operation: Json, path: str) -> None:
    """An example for each parameter of the path, and a sentence; those that have their own keep it."""
    known = {**_OF_PATH, "name": _NAME_OF_A_FILE if "/files/" in path else _NAME_OF_A_MODEL}
    for parameter in operation.get("parameters", ()):
        if own := parameter["schema"].pop("examples", None):
            parameter["example"] = own[0]
        elif parameter["in"] == "path" and parameter["name"] in known:
            parameter["description"], parameter["example"] = known[parameter["name"]]


def show_answers(operation: Json, schemas: Json) -> None:
    """An example, and a sentence, for each answer that has a model."""
    for status, answer in operation["responses"].items():
        if status == "204" and answer["description"] == _UNTOLD:
            answer["description"] = "It is done."
        for content in answer.get("content", {}).values():
            if name := _named(content.get("schema", {})):
                content.setdefault("example", _example_of(name, schemas))
                if answer["description"] == _UNTOLD:
                    answer["description"] = schemas[name].setdefault("description", _LIST).partition("\n")[0]


def _named(schema: Json) -> str:
    """The name of the model that a schema refers to; empty where it refers to none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _example_of(name: str, schemas: Json) -> Json:
    """Of a model that shows itself, or of a list of such."""
    schema = schemas[name]
    if "examples" in schema:
        return dict(schema["examples"][0])
    item = _named(schema["properties"].get("data", {}).get("items", {}))
    return {"object": "list", "data": [_example_of(item, schemas)], "has_more": False, "next": None} if item else {}
