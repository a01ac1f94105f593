"""The quality benchmark deals each set as its reference was dealt, and compares by the means that it names."""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.quality import Score, ratios, references
from benchmarks.quality_rivals import smallest, write
from benchmarks.quality_sets import SetOfRows, deal, parts, sets_of


def rows_of(count: int, *, classes: int) -> pl.DataFrame:
    return pl.DataFrame({"a": np.arange(count), "target": [f"c{i % classes}" for i in range(count)]})


@pytest.mark.parametrize("classes", [2, 7])
def test_each_row_is_dealt_once_and_each_class_in_proportion(classes: int) -> None:
    one = SetOfRows("x", "multiclass", "target", rows_of(350, classes=classes))

    train, validation, test = parts(one, seed=0)

    assert sorted(np.concatenate([train, validation, test])) == list(range(350))
    for part, share in ((train, 0.6), (validation, 0.2), (test, 0.2)):
        counts = one.rows[part]["target"].value_counts()["count"]
        assert counts.to_list() == [round(share * 350 / classes)] * classes


def test_another_seed_deals_otherwise_and_the_same_the_same() -> None:
    one = SetOfRows("x", "regression", "target", pl.DataFrame({"target": np.arange(50.0)}))

    assert deal(one, 0).test.equals(deal(one, 0).test)
    assert not deal(one, 0).test.equals(deal(one, 1).test)
    assert deal(one, 0).validation.sum() == 10


def test_a_large_set_is_cut_once(tmp_path: Path) -> None:
    rows_of(6000, classes=2).write_csv(tmp_path / "big.csv")
    described = [
        {"name": "big", "task": "binary", "categorical": ["target"]},
        {"name": "other", "task": "binary", "categorical": []},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(described))

    [big] = sets_of(tmp_path, only=["big"])

    assert big.rows.height == 5000
    assert big.rows["a"].is_sorted()


def test_methods_are_compared_over_what_both_have(tmp_path: Path) -> None:
    lines = [
        {"set": "s", "seed": 0, "method": "m", "err": 0.19, "logloss": 0.5, "cpu": 2.0},
        {"set": "t", "seed": 0, "method": "m", "err": 0.09, "logloss": None, "cpu": 8.0},
    ]
    (tmp_path / "reference.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = {("s", 0): Score(0.09, 0.25, 1.0), ("t", 0): Score(0.09, math.nan, 2.0), ("u", 0): Score(0.5, 1.0, 1.0)}

    compared = ratios(found, references(tmp_path), "m")

    assert compared == pytest.approx({"error": math.sqrt(0.5), "log-loss": 0.5, "CPU": math.sqrt(1 / 8)})


def test_the_smallest_sets_keep_their_order() -> None:
    sets = [SetOfRows(name, "binary", "target", rows_of(rows, classes=2)) for name, rows in (("a", 30), ("b", 10), ("c", 20))]

    assert [one.name for one in smallest(sets, 2)] == ["b", "c"]


@pytest.mark.parametrize(("folds", "validation"), [(5, None), (None, list(range(30, 40)))])
def test_a_rival_is_given_the_rows_of_our_recipes_and_what_they_are(
    tmp_path: Path, folds: int | None, validation: list[int] | None
) -> None:
    rows = deal(SetOfRows("x", "binary", "target", rows_of(50, classes=2).with_columns(text=pl.lit("t"))), 0)

    write(rows, tmp_path, folds=folds)

    assert pl.read_csv(tmp_path / "known.csv").equals(rows.known)
    assert pl.read_csv(tmp_path / "test.csv").equals(rows.test)
    described = json.loads((tmp_path / "set.json").read_text())
    shared = {"task": "binary", "target": "target", "categorical": ["text"]}
    assert described == shared | {"folds": folds, "validation": validation}
