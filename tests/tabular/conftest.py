from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from app.domain.schema import Kind
from app.tabular.description import Description
from app.tabular.ingest import ingest
from app.tabular.limits import Limits
from app.tabular.request import Format, IngestRequest

Ingest = Callable[..., tuple[Description, pl.DataFrame]]


@pytest.fixture
def read(tmp_path: Path) -> Ingest:
    """Reads bytes in this process, as the reading process would; answers the description and the stored rows."""

    def read(
        content: bytes,
        *,
        format: Format = "csv",
        limits: Limits | None = None,
        kinds: Mapping[str, Kind] | None = None,
        missing: Sequence[str] | None = None,
    ) -> tuple[Description, pl.DataFrame]:
        source, destination = tmp_path / "upload", tmp_path / "stored.parquet"
        source.write_bytes(content)
        request = IngestRequest(
            source=source,
            format=format,
            destination=destination,
            limits=limits or Limits(),
            kinds=dict(kinds or {}),
            missing=None if missing is None else list(missing),
        )
        return ingest(request), pl.read_parquet(destination)

    return read
