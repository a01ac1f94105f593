"""A part of a batch prediction: a file with its rows' share of the content, the outline of that, and warnings; and its row."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from app.domain.batch_prediction import Format
from app.domain.batch_warnings import Kind
from app.persistence.batch_rows import PartRow
from app.tabular import parquet_parts
from app.tabular.parquet_parts import Part
from worker.batch.findings import RowFindings


@dataclass(frozen=True)
class Draft:
    """A part whose file is not durable yet."""

    row: PartRow
    data: bytes
    counts: Counter[Kind]
    kept: int


def draft(number: int, frame: pl.DataFrame, *, format: Format, found: Iterable[RowFindings]) -> Draft:
    """What was predicted of some rows."""
    counts: Counter[Kind] = Counter()
    lines: list[bytes] = []
    for findings in found:
        counts.update(findings.counts)
        lines += findings.kept()
    return _drafted(number, len(frame), _written(frame, format, first=number == 0), b"".join(lines), counts, len(lines))


def last(number: int, outlines: Iterable[tuple[bytes, int]]) -> Draft:
    """What stands behind the rows of a Parquet file: the footer of all parts, each with its outline and bytes of content."""
    return _drafted(number, 0, Part(parquet_parts.footer(outlines), b""), b"", Counter(), 0)


def _drafted(number: int, rows: int, part: Part, warnings: bytes, counts: Counter[Kind], kept: int) -> Draft:
    data = part.content + part.outline + warnings
    row = PartRow(
        number=number,
        rows=rows,
        content_bytes=len(part.content),
        outline_bytes=len(part.outline),
        outline_sha256=hashlib.sha256(part.outline).hexdigest(),
        warning_bytes=len(warnings),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return Draft(row, data, counts, kept)


def _written(frame: pl.DataFrame, format: Format, *, first: bool) -> Part:
    """As CSV, probabilities as the doubles that the network's float32 are: so no reader sees another number."""
    if format == "parquet":
        return parquet_parts.write_part(frame, first=first)
    return Part(frame.cast({pl.Float32: pl.Float64}).write_csv(include_header=first).encode(), b"")
