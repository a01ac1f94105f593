"""Specs and descriptions for tests: a frame is described and a spec resolved against it, as a job would be."""

import polars as pl

from app.domain.resolve import Resolved, resolve
from app.domain.schema import Column, Kind
from app.domain.spec import JobSpec
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
    asked = JobSpec.model_validate({"dataset": "ds_1", "target": "y"} | spec)
    return resolve(asked, columns=described(frame), rows=len(frame))
