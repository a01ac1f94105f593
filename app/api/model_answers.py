"""The bodies of answers about models."""

from typing import Literal, Self

from pydantic import Field

from app.api.answer_examples import shown
from app.api.answers import Answer, Time
from app.api.report_examples import ALIAS, ALIAS_MOVE, MODEL, MODEL_VERSION
from app.domain.keys import prefix_of
from app.persistence.model_rows import AliasRow, MoveRow
from app.services.models import ModelView
from app.services.versions import VersionView


class Model(Answer):
    """A registered name: `aliases` says at which version each of them points."""

    model_config = shown(MODEL)

    id: str
    object: Literal["model"] = "model"
    name: str
    description: str | None
    metadata: dict[str, str]
    aliases: dict[str, int]
    latest_version: int | None
    created_at: Time

    @classmethod
    def of(cls, view: ModelView) -> Self:
        """From its row and its aliases."""
        told = {"aliases": view.aliases, "latest_version": view.latest_version}
        return cls.model_validate({**vars(view.row), **told})


class ModelVersion(Answer):
    """A checkpoint under a number of a model; `aliases` are those that point at it."""

    model_config = shown(MODEL_VERSION)

    id: str
    object: Literal["model_version"] = "model_version"
    model: str
    version: int
    checkpoint: str
    job: str
    aliases: list[str]
    description: str | None
    metadata: dict[str, str]
    created_at: Time

    @classmethod
    def of(cls, view: VersionView) -> Self:
        """From its row."""
        row = view.row
        what = {"model": view.model, "version": row.number, "checkpoint": row.checkpoint_id, "job": view.job_id}
        return cls.model_validate({**vars(row), **what, "aliases": list(view.aliases)})


class Alias(Answer):
    """A name that points at a version of a model."""

    model_config = shown(ALIAS)

    id: str
    object: Literal["alias"] = "alias"
    model: str
    name: str
    version: int
    created_at: Time
    moved_at: Time

    @classmethod
    def of(cls, model: str, row: AliasRow) -> Self:
        """From its row."""
        return cls.model_validate({**vars(row), "model": model})


class AliasMove(Answer):
    """A move of an alias: null is nowhere, before it was made and after it was deleted; without a key the operator moved it."""

    model_config = shown(ALIAS_MOVE)

    id: str
    object: Literal["alias_move"] = "alias_move"
    model: str
    alias: str
    from_: int | None = Field(alias="from")
    to: int | None
    key: str | None
    prefix: str | None
    created_at: Time

    @classmethod
    def of(cls, model: str, row: MoveRow) -> Self:
        """From its row."""
        where = {"model": model, "from": row.from_version, "to": row.to_version}
        who = {"key": row.key_id, "prefix": row.key_id and prefix_of(row.key_id)}
        return cls.model_validate({**vars(row), **where, **who})
