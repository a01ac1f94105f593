"""Bodies that have exactly one of several members: how the document tells it, and what is wrong with the others."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from app.domain.errors import Fault, pointer

Schema = dict[str, Any]


def told_as(titles: Mapping[str, str]) -> Callable[[Schema], None]:
    """Changes a model's schema into one of several, by the member that each has; `titles` names them."""

    def change(schema: Schema) -> None:
        properties: Schema = schema.pop("properties")
        shared = {name: field for name, field in properties.items() if name not in titles}
        schema["oneOf"] = [
            {
                "title": title,
                "type": schema["type"],
                "additionalProperties": False,
                "required": [name],
                "properties": {name: _given(properties[name]), **shared},
            }
            for name, title in titles.items()
        ]
        del schema["type"], schema["additionalProperties"]

    return change


def _given(field: Schema) -> Schema:
    """What a member is where it is there."""
    [given, _] = field["anyOf"]
    return {**given, **{name: value for name, value in field.items() if name not in ("anyOf", "default", "title")}}


def faults_of(body: BaseModel, names: Mapping[str, str]) -> Iterator[Fault]:
    """None of them, more than one, or one that is null."""
    given = [name for name in names if name in body.model_fields_set]
    wanted = " or ".join(f"`{name}`" for name in names)
    if not given:
        yield Fault(pointer(next(iter(names))), "missing", f"Send {wanted}.")
    for name in given[1:]:
        yield Fault(pointer(name), "not_allowed", f"Send {wanted}, one of them; `{given[0]}` stands here, too.")
    if given and getattr(body, given[0]) is None:
        yield Fault(pointer(given[0]), "wrong_type", "It is null.")
