"""The registry's rows as frozen dataclasses."""

from dataclasses import dataclass
from datetime import datetime

from app.persistence.rows import Record


@dataclass(frozen=True, kw_only=True)
class ModelRow(Record):
    """See tables.models."""

    id: str
    project_id: str
    name: str
    description: str | None
    metadata: dict[str, str]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class VersionRow(Record):
    """See tables.model_versions."""

    id: str
    model_id: str
    number: int
    checkpoint_id: str
    description: str | None
    metadata: dict[str, str]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class AliasRow(Record):
    """See tables.model_aliases."""

    id: str
    model_id: str
    name: str
    version: int
    created_at: datetime
    moved_at: datetime


@dataclass(frozen=True, kw_only=True)
class MoveRow(Record):
    """See tables.alias_moves."""

    id: str
    alias: str
    from_version: int | None
    to_version: int | None
    key_id: str | None
    created_at: datetime
