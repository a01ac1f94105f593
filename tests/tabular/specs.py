"""Specs and descriptions for tests: a frame is described and a spec resolved against it, as a job would be."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from app.domain.bundles import Bundles
from app.domain.resolve import Resolved, resolve
from app.domain.resolve_split import Described, SplitFacts, reads_cells
from app.domain.schema import Column, Kind
from app.domain.spec import JobSpec
from app.tabular.bundles import bundles_of, in_order, read_cells
from app.tabular.description import describe

KINDS: dict[type[pl.DataType], Kind] = {
    pl.Boolean: Kind.BOOLEAN,
    pl.Int64: Kind.NUMERIC,
    pl.Float64: Kind.NUMERIC,
    pl.String: Kind.CATEGORICAL,
    pl.Datetime: Kind.DATETIME,
}


def described(frame: pl.DataFrame) -> list[Column]:
    """The columns of a frame as a stored dataset would have them."""
    return describe({series.name: (KINDS[type(series.dtype)], series) for series in frame}).columns


def resolved(frame: pl.DataFrame, **spec: object) -> Resolved:
    """A spec for the frame, target `y` unless said otherwise."""
    return resolved_with({}, frame, **spec)


def resolved_with(own: Mapping[str, pl.DataFrame], frame: pl.DataFrame, **spec: object) -> Resolved:
    """The same, where `validation` or `test` are datasets of one's own."""
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": "y", **{f"{part}_dataset": part for part in own}} | spec)
    columns, theirs = described(frame), {part: Described(described(rows), len(rows)) for part, rows in own.items()}
    facts = SplitFacts(_bundles(asked, frame, columns), validation=theirs.get("validation"), test=theirs.get("test"))
    return resolve(asked, columns=columns, rows=len(frame), facts=facts)


def _bundles(spec: JobSpec, frame: pl.DataFrame, columns: list[Column]) -> Bundles | None:
    if not reads_cells(spec, {column.name: column for column in columns}):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.parquet"
        frame.write_parquet(path)
        targets = [spec.target] if isinstance(spec.target, str) else spec.target
        cells = read_cells(path, spec.split.column or "", targets=targets)
    return bundles_of(spec.split, in_order(cells, spec.split, seed=spec.seed))
