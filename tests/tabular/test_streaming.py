"""Rows that are prepared piece by piece are, to the last bit, those that are loaded at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from app.domain.bundles import TEST, TRAIN, VALIDATION
from app.domain.errors import InvalidData
from app.tabular.loading import load
from app.tabular.row_groups import group_rows, row_groups
from app.tabular.streaming import Piece, Streamed
from tests.tabular.conftest import Ingest
from tests.tabular.specs import described, resolved_with

ROWS = 300


def frame(*, seed: int = 0) -> pl.DataFrame:
    """All kinds of columns, with gaps, also in the target."""
    draw = np.random.default_rng(seed)
    gaps = draw.uniform(size=ROWS) < 0.1
    return pl.DataFrame(
        {
            "a": pl.Series(draw.normal(size=ROWS)).set(pl.Series(gaps), None),
            "b": draw.integers(0, 9, ROWS),
            "c": pl.Series(draw.choice([f"level {i}" for i in range(12)], ROWS)).set(pl.Series(gaps[::-1]), None),
            "d": draw.uniform(size=ROWS) < 0.3,
            "w": draw.uniform(0.1, 2.0, ROWS),
            "when": draw.permutation(ROWS) // 2,
            "who": draw.choice([f"g{i}" for i in range(40)], ROWS),
            "part": draw.choice(["train", "train", "Validation", "test"], ROWS),
            "y": pl.Series(draw.choice(["no", "yes", "maybe"], ROWS)).set(pl.Series(draw.uniform(size=ROWS) < 0.05), None),
            "z": draw.normal(size=ROWS) * 3 + 5,
            "v": pl.Series(draw.normal(size=ROWS)).set(pl.Series(draw.uniform(size=ROWS) < 0.05), None),
        }
    )


FEATURES = {"features": ["a", "b", "c", "d"], "split": {"validation": 0.2, "test": 0.1}}
CASES: dict[str, dict[str, Any]] = {
    "classes": {},
    "embedded, most frequent": {"preprocessing": {"categorical": "embedding", "missing": "most_frequent"}},
    "quantiles and medians": {"preprocessing": {"numeric": "quantile", "missing": "median"}},
    "robust, with indicators": {"preprocessing": {"numeric": "robust", "missing": "indicator"}},
    "clipped, with medians and signs": {
        "preprocessing": {"numeric": "robust_clip", "missing": "median_indicator", "categorical": "one_hot_signed"}
    },
    "weights": {"class_weights": "balanced", "sample_weight": "w"},
    "regression": {"target": "z", "sample_weight": "w"},
    "several targets": {"target": ["z", "v"]},
    "clipped": {"target": "z", "clip_predictions": True},
    "several clipped as they are": {"target": ["z", "v"], "clip_predictions": True, "preprocessing": {"target": "none"}},
    "by time": {"split": {"method": "time", "column": "when", "validation": 0.2, "test": 0.1}},
    "by group": {"split": {"method": "group", "column": "who", "validation": 0.2, "test": 0.1}},
    "by column": {"split": {"method": "column", "column": "part"}},
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six row groups, each of several pieces."""
    monkeypatch.setattr("app.tabular.row_groups._FEWEST", 1)
    monkeypatch.setattr("app.tabular.row_groups._CELLS", 11 * 50)
    monkeypatch.setattr("app.tabular.streaming._PIECE", 200)


def assert_alike(folder: Path, rows: pl.DataFrame, own: Mapping[str, pl.DataFrame], fields: dict[str, Any]) -> None:
    spec = resolved_with(own, rows, **(FEATURES | fields)).spec
    paths = {name: folder / name for name in ("rows", *own)}
    for name, one in {"rows": rows, **own}.items():
        one.write_parquet(paths[name])

    loaded = load(spec, described(rows), paths["rows"], validation=paths.get("validation"), test=paths.get("test"))
    streamed = Streamed(spec, described(rows), paths["rows"], validation=paths.get("validation"), test=paths.get("test"))
    pieces = list(streamed.pieces())

    assert (streamed.fitted.columns, streamed.fitted.target) == (loaded.columns, loaded.target)
    assert streamed.fitted.class_weights == loaded.class_weights
    assert len(pieces) > 10
    for part, name in ((TRAIN, "train"), (VALIDATION, "val"), (TEST, "test")):
        x, y, w = _joined([piece for piece in pieces if piece.part == part])
        np.testing.assert_array_equal(x, getattr(loaded, f"x_{name}"))
        np.testing.assert_array_equal(y, getattr(loaded, f"y_{name}"))
        expected = getattr(loaded, f"w_{name}")
        assert (w is None) is (expected is None)
        np.testing.assert_array_equal(w if w is not None else 0, expected if expected is not None else 0)


def _joined(pieces: list[Piece]) -> tuple[Any, Any, Any]:
    w = [piece.w for piece in pieces if piece.w is not None]
    return np.concatenate([p.x for p in pieces]), np.concatenate([p.y for p in pieces]), np.concatenate(w) if w else None


@pytest.mark.parametrize("case", CASES)
def test_pieces_are_what_is_loaded_at_once(case: str, tmp_path: Path) -> None:
    assert_alike(tmp_path, frame(), {}, CASES[case])


def test_datasets_of_ones_own_come_in_pieces_too(tmp_path: Path) -> None:
    own = {"validation": frame(seed=1), "test": frame(seed=2)}
    assert_alike(tmp_path, frame(), own, {"split": {}, "class_weights": "balanced"})


def test_a_part_without_weight_is_told(tmp_path: Path) -> None:
    rows = frame().with_columns(w=pl.when(pl.col("part") == "train").then(pl.lit(1.0)).otherwise(0.0))
    spec = resolved_with({}, rows, **(FEATURES | CASES["by column"]), sample_weight="w").spec
    rows.write_parquet(tmp_path / "rows")

    with pytest.raises(InvalidData, match="the weight 0"):
        list(Streamed(spec, described(rows), tmp_path / "rows").pieces())


def test_whoever_waits_hears_of_every_column_and_row_group(tmp_path: Path) -> None:
    rows, calls = frame(), [0]
    rows.write_parquet(tmp_path / "rows")

    def alive() -> None:
        calls[0] += 1

    list(Streamed(resolved_with({}, rows, **FEATURES).spec, described(rows), tmp_path / "rows", alive=alive).pieces())

    assert calls[0] >= 1 + 4 + ROWS // 50


def test_a_dataset_is_stored_in_the_groups_in_which_it_is_read(read: Ingest, tmp_path: Path) -> None:
    _, stored = read(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(1000)))

    groups = list(row_groups(tmp_path / "stored.parquet", ["b"]))

    assert [len(group) for group in groups] == [group_rows(2)] * 3 + [1000 - 3 * group_rows(2)]
    assert pl.concat(groups)["b"].to_list() == stored["b"].to_list()
