"""The bounds of an upload: what is read of it at most, and with how much memory and time."""

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024


class Limits(BaseModel):
    """Bounds of one upload; the defaults are those of the documentation."""

    model_config = ConfigDict(frozen=True)

    cells: int = 50_000_000
    """Rows times columns."""
    rows: int | None = None
    """Of a call that predicts; of an upload the cells are counted."""
    columns: int = 10_000
    cell_bytes: int = 64 * 1024
    """One cell, as UTF-8."""
    inflated_bytes: int = 1024 * MIB
    """A text file after decompression; all text of a Parquet file together."""
    inflation_ratio: int = 200
    """Inflated bytes for each compressed one; looked at after the first mebibyte."""
    memory_bytes: int = 4 * 1024 * MIB
    """Resident memory of the reading process."""
    seconds: float = 300.0
    """Wall-clock time of the reading process."""
