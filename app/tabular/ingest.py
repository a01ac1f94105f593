"""The reading process: `python -m app.tabular.reader` turns an uploaded file into typed Parquet and a description.

A request (JSON) comes on standard input; the answer, an `Outcome`, goes to standard output. What the file holds can harm
this process only: its memory is bounded, and it dies with the process that started it.
"""

import os
import sys
from pathlib import Path

import polars as pl

from app.domain.disk import FULL
from app.tabular.arrow import read_arrow
from app.tabular.confinement import OUT_OF_ROOM, confine
from app.tabular.delimited import read_delimited
from app.tabular.description import Description, describe
from app.tabular.json_lines import read_json_lines
from app.tabular.kinds import typed
from app.tabular.npz import read_npz
from app.tabular.parquet import read_parquet
from app.tabular.refusal import Refused
from app.tabular.request import IngestRequest, Outcome
from app.tabular.row_groups import group_rows
from app.tabular.table import Table

_READERS = {"jsonl": read_json_lines, "parquet": read_parquet, "arrow": read_arrow, "npz": read_npz}


def ingest(request: IngestRequest) -> Description:
    """Reads, decides types and kinds, writes Parquet in row order, describes.

    Raises Refused: when the file cannot become a dataset.
    """
    table = _read(request)
    columns = typed(table, kinds=request.kinds, markers=request.missing, limits=request.limits)
    frame = pl.DataFrame({name: series for name, (_, series) in columns.items()})
    _write(frame, request.destination, rows=group_rows(len(columns)))
    return describe(columns)


def _write(frame: pl.DataFrame, path: Path, *, rows: int) -> None:
    """OSError where the disk is full, which polars tells in words only."""
    try:
        frame.write_parquet(path, row_group_size=rows)
    except pl.exceptions.PolarsError as error:
        for number in FULL:
            if f"(os error {number})" in str(error):
                raise OSError(number, os.strerror(number)) from None
        raise


def _read(request: IngestRequest) -> Table:
    if request.format in _READERS:
        return _READERS[request.format](request.source, limits=request.limits)
    return read_delimited(request.source, delimiter=None if request.format == "csv" else "\t", limits=request.limits)


def main() -> None:
    """One request, one outcome."""
    request = IngestRequest.model_validate_json(sys.stdin.buffer.read())
    confine(request.limits.memory_bytes)
    try:
        outcome = Outcome(description=ingest(request))
    except Refused as refused:
        outcome = Outcome(refusal=refused.refusal)
    except OSError as error:
        if error.errno not in FULL:
            raise
        sys.exit(OUT_OF_ROOM)
    except MemoryError:
        outcome = Outcome(refusal=Refused.size("reading the file takes more memory than the limit.").refusal)
    sys.stdout.write(outcome.model_dump_json())
