"""The lines that split are run on rows of every kind and find the parts that the service finds."""

import collections
import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from app.code.splitting import splitting
from app.domain.schema import Column, Kind
from app.domain.spec import ResolvedSpec, Split
from app.tabular.bundles import bundles_of, counted, in_order
from app.tabular.description import describe
from app.tabular.split import split
from tests.engine.plain import spec_of

ROWS = 40
TIMES = [datetime(2024, 2, 29, 12), datetime(2024, 2, 29, 12, 0, 0, 7), datetime(2024, 2, 29, 12, 0, 0, 500_000)]
# From a number to a cell; 0 is no cell where cells may be missing.
CELLS: dict[str, Callable[[int], object]] = {
    "text": lambda i: ["ä", "Z", "a", '"', " b"][i % 5] + str(i // 5),
    "numbers": lambda i: [-0.0, 0.0, 1e300, -2.5][i % 4] * (1 + i // 4),
    "whole numbers": lambda i: 2**62 + i if i % 2 else -i,
    "times": lambda i: TIMES[i % 3] + timedelta(days=i // 3),
    "flags": lambda i: [None, True, False][i % 3],
}


def rows_of(kind: str, seed: int, *, missing: bool) -> pl.DataFrame:
    """Few or many groups of all sizes, at least three."""
    draw = np.random.default_rng(seed)
    numbers = [0, 1, 2, 3, *draw.geometric(draw.choice([0.08, 0.3, 0.6]), ROWS - 4) - 1]
    return pl.DataFrame({"cell": [None if missing and i == 0 else CELLS[kind](int(i)) for i in numbers], "y": [0.0] * ROWS})


def described(rows: pl.DataFrame) -> dict[str, Column]:
    kinds = {pl.Float64: Kind.NUMERIC, pl.Int64: Kind.NUMERIC, pl.Boolean: Kind.BOOLEAN, pl.Datetime: Kind.DATETIME}
    typed = {name: (kinds.get(type(rows[name].dtype), Kind.CATEGORICAL), rows[name]) for name in rows.columns}
    return {column.name: column for column in describe(typed).columns}


def resolved(asked: Split, rows: pl.DataFrame, seed: int) -> ResolvedSpec:
    counts = in_order(counted(rows.lazy().select("cell")), asked, seed=seed)
    sizes = bundles_of(asked, counts).sizes(asked)
    return spec_of(rows=sizes.train, val=sizes.validation, test_rows=sizes.test, split=asked, seed=seed)


def run(spec: ResolvedSpec, rows: pl.DataFrame) -> dict[str, Any]:
    """What the lines make of the rows as CSV."""
    found: dict[str, Any] = {"np": np, "collections": collections, "SEED": spec.seed, "y": np.zeros(len(rows))}
    text = rows.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
    found["rows"] = list(csv.DictReader(io.StringIO(text, newline="")))
    for part in splitting(spec, described(rows)):
        exec("\n".join(part), found)
    return found


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("test", [0.0, 0.2])
def test_groups_go_where_the_service_puts_them(kind: str, missing: bool, test: float) -> None:
    for seed in range(25):
        rows = rows_of(kind, seed, missing=missing)
        asked = Split(method="group", column="cell", validation=0.3, test=test, stratify=False)
        spec = resolved(asked, rows, seed)

        found, expected = run(spec, rows), split(spec, np.zeros(ROWS), rows)

        assert found["train"].tolist() == expected.train.tolist()
        assert found["validation"].tolist() == expected.validation.tolist()


@pytest.mark.parametrize("kind", ["numbers", "whole numbers", "times"])
@pytest.mark.parametrize("test", [0.0, 0.2])
def test_times_are_cut_where_the_service_cuts_them(kind: str, test: float) -> None:
    for seed in range(10):
        rows = rows_of(kind, seed, missing=False)
        asked = Split(method="time", column="cell", validation=0.3, test=test, stratify=False)
        spec = resolved(asked, rows, seed)

        found, expected = run(spec, rows), split(spec, np.zeros(ROWS), rows)

        assert found["train"].tolist() == expected.train.tolist()
        assert found["validation"].tolist() == expected.validation.tolist()
