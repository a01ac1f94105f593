"""A model: a registered name, whose versions are checkpoints and whose aliases point at versions."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from app.domain.spec.blocks import MOST, Block, Count
from app.domain.spec.spec import Metadata

NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""The name of a model or an alias: it stands in paths as it is."""

DEFAULT = "default"
"""The alias that is predicted with where none is named; the first version becomes it."""

MOST_ALIASES = 100
"""Of one model."""

_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


def _no_id(name: str) -> str:
    """Jobs are called by their ids where models are called by their names."""
    if _ID.fullmatch(name):
        raise ValueError("It looks like an id")
    return name


def is_alias(name: str) -> bool:
    """True for what may be the name of an alias: a number is a version."""
    return re.fullmatch(NAME, name) is not None and not name.isdecimal()


def number_in(text: str) -> int | None:
    """The number of a version where the text is one that can be, else it is an alias."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= MOST else None


ModelName = Annotated[
    str,
    Field(pattern=f"^{NAME}$", description="Letters, digits, `.`, `_`, `-`; nothing that looks like an id."),
    AfterValidator(_no_id),
]
Description = Annotated[str, Field(max_length=2000)] | None


class ModelSpec(Block):
    """What `POST /v1/models` takes."""

    name: ModelName
    description: Description = None
    metadata: Metadata = {}


class VersionSpec(Block):
    """What `POST /v1/models/{name}/versions` takes."""

    checkpoint: Annotated[str, Field(max_length=64, description="Of any job of the project, whether it still trains or not.")]
    description: Description = None
    metadata: Metadata = {}


class MoveSpec(Block):
    """What `PUT /v1/models/{name}/aliases/{alias}` takes."""

    version: Count
