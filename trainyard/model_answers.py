"""The API's answers about models, as this library hands them out."""

from typing import TypedDict

from trainyard.answers import Prediction


class Model(TypedDict):
    """A registered name, and at which version each alias points."""

    id: str
    name: str
    description: str | None
    metadata: dict[str, str]
    aliases: dict[str, int]
    latest_version: int | None
    created_at: str


class ModelVersion(TypedDict):
    """A checkpoint under a number of a model."""

    id: str
    model: str
    version: int
    checkpoint: str
    job: str
    aliases: list[str]
    description: str | None
    metadata: dict[str, str]
    created_at: str


class Alias(TypedDict):
    """A name that points at a version of a model."""

    id: str
    model: str
    name: str
    version: int
    created_at: str
    moved_at: str


# `from` is no name in Python.
AliasMove = TypedDict(
    "AliasMove",
    {
        "id": str,
        "model": str,
        "alias": str,
        "from": int | None,
        "to": int | None,
        "key": str | None,
        "prefix": str | None,
        "created_at": str,
    },
)
AliasMove.__doc__ = "Who moved an alias from where to where; None is nowhere, and without a key it was the operator."


class ModelPrediction(Prediction):
    """A prediction, and the model and the version that made it."""

    model: str
    version: int
