"""The data sets of the quality benchmark: read as they stand, and dealt as the reference dealt them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_ROWS, TRAIN, VALIDATION = 5000, 0.6, 0.2
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SetOfRows:
    """A data set and what is to be learned of it."""

    name: str
    task: str
    target: str
    rows: pl.DataFrame


@dataclass(frozen=True)
class Dealt:
    """One split: `known` are the rows of training and validation, `validation` [n] says which are the latter."""

    name: str
    task: str
    target: str
    known: pl.DataFrame
    validation: NDArray[np.bool_]
    test: pl.DataFrame


def sets_of(folder: Path, *, only: Sequence[str] | None = None) -> list[SetOfRows]:
    """In the order of the manifest; of each at most 5 000 rows, drawn once."""
    described = json.loads((folder / "manifest.json").read_text())
    chosen = [one for one in described if only is None or one["name"] in only]
    return [_read(folder, one) for one in chosen]


def _read(folder: Path, described: dict[str, object]) -> SetOfRows:
    name, categorical = str(described["name"]), described["categorical"]
    assert isinstance(categorical, list)
    overrides = dict.fromkeys(categorical, pl.String)
    rows = pl.read_csv(folder / f"{name}.csv", schema_overrides=overrides, infer_schema_length=None)
    if rows.height > MOST_ROWS:
        rows = rows[np.sort(np.random.default_rng(12345).permutation(rows.height)[:MOST_ROWS])]
    return SetOfRows(name, str(described["task"]), "target", rows)


def deal(one: SetOfRows, seed: int) -> Dealt:
    """60 % to train, 20 % to validate, 20 % to test, each class by itself in the order of the classes."""
    train, validation, test = parts(one, seed)
    known = np.concatenate([train, validation])
    is_validation = np.arange(len(known)) >= len(train)
    return Dealt(one.name, one.task, one.target, one.rows[known], is_validation, one.rows[test])


def parts(one: SetOfRows, seed: int) -> tuple[Indices, Indices, Indices]:
    """Row numbers, ascending."""
    rng, dealt = np.random.default_rng(1000 + seed), list[list[Indices]]()
    y = one.rows[one.target].to_numpy()
    classes = [np.arange(len(y))] if one.task == "regression" else [np.flatnonzero(y == label) for label in np.unique(y)]
    for rows in classes:
        shuffled = rng.permutation(rows)
        train, validation = round(TRAIN * len(rows)), round(VALIDATION * len(rows))
        dealt.append(np.split(shuffled, [train, train + validation]))
    train_rows, validation_rows, test_rows = (np.sort(np.concatenate(part)) for part in zip(*dealt, strict=True))
    return train_rows, validation_rows, test_rows
