"""What the reading process is asked and what it answers."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.domain.schema import Kind
from app.tabular.description import Description
from app.tabular.limits import Limits
from app.tabular.refusal import Refusal

Format = Literal["csv", "tsv", "jsonl", "parquet", "arrow", "npz"]


class IngestRequest(BaseModel):
    """What to read, how, and where the Parquet file goes."""

    model_config = ConfigDict(frozen=True)

    source: Path
    format: Format
    destination: Path
    limits: Limits
    kinds: dict[str, Kind] = {}
    missing: list[str] | None = None


class Outcome(BaseModel):
    """Exactly one of the two."""

    model_config = ConfigDict(frozen=True)

    description: Description | None = None
    refusal: Refusal | None = None
