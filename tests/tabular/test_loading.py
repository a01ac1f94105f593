import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.utils.class_weight import compute_class_weight

from app.domain.bundles import VALIDATION
from app.domain.columns import NumericColumn
from app.domain.errors import InvalidData
from app.tabular.loading import Loaded, load
from app.tabular.streaming import Streamed
from tests.tabular.specs import described, resolved, resolved_with

COLORS = pl.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "w": [1, 2, 3, 1, 2, 3],
        "y": ["red", "blue", None, "red", "blue", "red"],
        "free": ["?"] * 6,
    }
)


def _loaded(frame: pl.DataFrame, **values: object) -> Loaded:
    return load(resolved(frame, **values).spec, described(frame), _parquet(frame))


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_labels_become_codes_and_rows_without_one_are_left_out() -> None:
    loaded = _loaded(COLORS, features=["x"], preprocessing={"numeric": "none"}, split={"validation": 0.0})

    assert loaded.x_train[:, 0].tolist() == [1.0, 2.0, 4.0, 5.0, 6.0]
    assert loaded.y_train.tolist() == [1, 0, 1, 0, 1]
    assert loaded.y_train.dtype == np.dtype(np.int64)
    assert loaded.target.classes == ["blue", "red"]
    assert loaded.w_train is None
    assert (loaded.x_val.shape, loaded.y_val.shape, loaded.x_test.shape) == ((0, 1), (0,), (0, 1))


@pytest.mark.parametrize("labels", [[3, 1, 3, 1], [True, False, True, False], [3.0, 1.0, 3.0, 1.0]])
def test_labels_of_every_type_are_encoded(labels: list[object]) -> None:
    loaded = _loaded(pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": labels}), split={"validation": 0.0})

    assert loaded.y_train.tolist() == [1, 0, 1, 0]
    assert loaded.target.classes == sorted(set(labels))  # type: ignore[type-var]


def test_numbers_are_standardized_by_the_training_rows() -> None:
    frame = pl.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0) * 10 + 0.5})

    loaded = _loaded(frame, split={"validation": 0.2, "test": 0.2})

    assert (loaded.y_train.mean(), loaded.y_train.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    back = np.concatenate([loaded.y_train, loaded.y_val, loaded.y_test]) * loaded.target.scale + loaded.target.center
    assert sorted(back) == pytest.approx(frame["y"].to_list())


@pytest.mark.parametrize("spec", [{"loss": {"name": "poisson"}}, {"preprocessing": {"target": "none"}}])
def test_a_target_that_is_not_standardized_stays_as_it_is(spec: dict[str, object]) -> None:
    loaded = _loaded(pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [10.5, 2.0, 3.0]}), split={"validation": 0.0}, **spec)

    assert loaded.y_train.tolist() == [10.5, 2.0, 3.0]
    assert (loaded.target.center, loaded.target.scale) == (0.0, 1.0)


@pytest.mark.parametrize("standardizing", ["standard", "none"])
def test_the_range_of_the_training_rows_is_kept_where_predictions_are_clipped_to_it(standardizing: str) -> None:
    frame = pl.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0) ** 2 + 0.5, "z": -np.arange(50.0) - 0.5})
    spec = {"split": {"validation": 0.4}, "preprocessing": {"target": standardizing}, "features": ["x"]}

    clipped = _loaded(frame, **spec, clip_predictions=True)
    several = _loaded(frame, **spec, clip_predictions=True, target=["y", "z"])

    y = clipped.y_train * np.array(clipped.target.scale) + clipped.target.center
    assert clipped.target.range == pytest.approx((y.min(), y.max()))
    assert _loaded(frame, **spec).target.range is None
    ends = several.y_train * np.array(several.target.scale) + several.target.center
    assert np.array(several.target.range) == pytest.approx(np.array([ends.min(0), ends.max(0)]))


def test_a_constant_target_has_scale_1() -> None:
    loaded = _loaded(pl.DataFrame({"x": [1.0, 2.0], "y": [7.5, 7.5]}), split={"validation": 0.0})

    assert (loaded.target.center, loaded.target.scale, loaded.y_train.tolist()) == (7.5, 1.0, [0.0, 0.0])


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    loaded = _loaded(COLORS, features=["x"], split={"validation": 0.0}, class_weights="balanced")

    by_class = compute_class_weight("balanced", classes=np.array([0, 1]), y=loaded.y_train)
    assert loaded.w_train is not None
    assert loaded.w_train.tolist() == pytest.approx(by_class[loaded.y_train].tolist())


def test_class_weights_and_sample_weights_multiply() -> None:
    loaded = _loaded(COLORS, features=["x"], split={"validation": 0.0}, class_weights={"red": 10.0}, sample_weight="w")

    assert loaded.w_train is not None
    assert loaded.w_train.tolist() == [10.0, 2.0, 10.0, 2.0, 30.0]


def test_weights_of_1_are_none() -> None:
    loaded = _loaded(COLORS, features=["x"], split={"validation": 0.0}, class_weights={"red": 1.0})

    assert loaded.w_train is None


@pytest.mark.parametrize("weights", [[0.0] * 6 + [1.0], [1.0] + [0.0] * 6])
def test_a_part_whose_rows_all_weigh_nothing_is_refused(weights: list[float]) -> None:
    frame = pl.DataFrame({"x": np.arange(7.0), "w": weights, "y": np.arange(7.0) / 2})

    with pytest.raises(InvalidData, match="'w'"):
        _loaded(frame, sample_weight="w", split={"validation": 0.5})


def test_validation_rows_are_scaled_and_weighted_by_what_training_rows_taught() -> None:
    frame = pl.DataFrame({"x": np.arange(40.0), "y": ["a", "b"] * 20})

    loaded = _loaded(frame, split={"validation": 0.25}, class_weights={"b": 3.0})

    assert loaded.x_train.mean() == pytest.approx(0, abs=1e-12)
    assert loaded.x_val.shape == (10, 1)
    assert loaded.w_val is not None
    assert loaded.w_val.tolist() == [3.0 if code == 1 else 1.0 for code in loaded.y_val]


def test_inputs_are_as_many_as_the_spec_says() -> None:
    frame = pl.DataFrame(
        {"n": [1.0, None, 3.0, 4.0], "c": ["a", "b", None, "a"], "b": [True, False, True, None], "y": [0.5, 1.5, 2.5, 3.5]}
    )
    spec = {"preprocessing": {"missing": "indicator"}, "split": {"validation": 0.25}}

    loaded = _loaded(frame, **spec)

    assert loaded.x_train.shape[1] == resolved(frame, **spec).spec.layers[0] == 2 + 3 + 2


PLACES = pl.DataFrame(
    {
        "x": [0.0, 10.0, 20.0, 30.0, 99.0],
        "c": ["a", "b", "a", "b", "a"],
        "part": ["train", "train", "validation", "test", None],
        "y": [1.5, 2.5, 3.5, 4.5, None],
    }
)


def test_what_a_column_keeps_apart_is_scaled_by_its_training_rows() -> None:
    loaded = _loaded(
        PLACES, split={"method": "column", "column": "part"}, preprocessing={"numeric": "minmax", "target": "none"}
    )

    assert [fitted.name for fitted in loaded.columns] == ["x", "c"]
    assert (loaded.x_train[:, 0].tolist(), loaded.y_train.tolist()) == ([0.0, 1.0], [1.5, 2.5])
    assert (loaded.x_val[:, 0].tolist(), loaded.y_val.tolist()) == ([2.0], [3.5])
    assert (loaded.x_test[:, 0].tolist(), loaded.y_test.tolist()) == ([3.0], [4.5])


def test_a_column_that_splits_may_be_a_feature_too() -> None:
    frame = pl.DataFrame({"year": [2020.0, 2021.0, 2022.0, 2023.0], "y": [0.5, 1.5, 2.5, 3.5]})

    loaded = _loaded(
        frame,
        features=["year"],
        split={"method": "time", "column": "year", "validation": 0.25},
        preprocessing={"numeric": "none"},
    )

    assert (loaded.x_train[:, 0].tolist(), loaded.x_val[:, 0].tolist()) == ([2020.0, 2021.0, 2022.0], [2023.0])


def test_datasets_of_one_s_own_are_read_as_the_job_s_and_teach_nothing() -> None:
    validation = pl.DataFrame({"c": ["b", "new", None], "y": [1, 2, None], "x": [20, None, 5], "more": [1, 2, 3]})
    test = pl.DataFrame({"x": [True, False], "c": ["a", "a"], "y": [9.5, 8.5]})
    own = {"validation": validation, "test": test}
    spec = resolved_with(own, PLACES, features=["x", "c"], preprocessing={"numeric": "minmax", "target": "none"}).spec

    loaded = load(spec, described(PLACES), _parquet(PLACES), validation=_parquet(own["validation"]), test=_parquet(own["test"]))

    assert (spec.train_rows, spec.validation_rows, spec.test_rows) == (4, 2, 2)
    assert loaded.x_train[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert loaded.x_val.tolist() == [[pytest.approx(2 / 3), 0.0, 1.0], [0.5, 0.0, 0.0]]
    assert loaded.x_test.tolist() == [[pytest.approx(1 / 30), 1.0, 0.0], [0.0, 1.0, 0.0]]
    assert (loaded.y_val.tolist(), loaded.y_test.tolist()) == ([1.0, 2.0], [9.5, 8.5])


def test_labels_of_another_dataset_have_the_codes_of_the_job_s_own() -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1, 2, 3]})
    validation = pl.DataFrame({"x": [1.0, 2.0], "y": ["3", "1"]})
    spec = resolved_with({"validation": validation}, frame, task="multiclass", class_weights={"3": 2.0}).spec

    loaded = load(spec, described(frame), _parquet(frame), validation=_parquet(validation))

    assert (loaded.y_train.tolist(), loaded.y_val.tolist()) == ([0, 1, 2], [2, 0])
    assert loaded.w_val is not None
    assert loaded.w_val.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("clips", [True, False])
def test_the_range_of_predictions_is_never_learned_elsewhere(clips: bool, tmp_path: Path) -> None:
    rows = pl.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) + 0.5})
    learned = _loaded(rows.with_columns(y=pl.col("y") * 100), clip_predictions=True)
    spec = resolved(rows, split={"validation": 0.0}, clip_predictions=clips).spec
    rows.write_parquet(tmp_path / "rows")

    loaded = load(spec, described(rows), tmp_path / "rows", given=learned)
    streamed = Streamed(spec, described(rows), tmp_path / "rows", given=learned)

    assert loaded.target.range == streamed.fitted.target.range == ((0.5, 39.5) if clips else None)
    assert loaded.target.center == streamed.fitted.target.center == learned.target.center


@pytest.mark.parametrize("stratify", [True, False])
def test_what_was_learned_elsewhere_is_not_learned_again(stratify: bool, tmp_path: Path) -> None:
    """Also where the rows lack a class and a level, and have a level that was never seen."""
    known = pl.DataFrame({"x": [0.0, 4.0] * 30, "c": ["u", "v", "w"] * 20, "y": ["a", "b", "d"] * 20})
    rows = pl.DataFrame({"x": [10.0, 20.0, None, 40.0] * 10, "c": ["w", "z", "u", None] * 10, "y": ["d", "a"] * 20})
    split = {"validation": 0.25, "stratify": stratify}
    learned, own = _loaded(known, split=split), resolved(rows, task="multiclass", split=split).spec
    spec = own.model_copy(update={"classes": learned.target.classes})
    rows.write_parquet(tmp_path / "rows")

    loaded = load(spec, described(rows), tmp_path / "rows", given=learned)
    streamed = Streamed(spec, described(rows), tmp_path / "rows", given=learned)

    pieces = [piece for piece in streamed.pieces() if piece.part == VALIDATION]
    assert (loaded.columns, loaded.target) == (learned.columns, learned.target)
    assert (len(loaded.y_train), len(loaded.y_val)) == (spec.train_rows, spec.validation_rows)
    assert set(loaded.y_train.tolist()) == {0, 2}
    number = learned.columns[0]
    assert isinstance(number, NumericColumn)
    values = [(x - number.center) * number.scale for x in (number.impute or 0.0, 10.0, 20.0, 40.0)]
    assert sorted({*loaded.x_train[:, 0].tolist()}) == pytest.approx(sorted(values))
    assert {tuple(row) for row in loaded.x_train[:, 1:].tolist()} == {(0, 0, 1), (0, 0, 0), (1, 0, 0)}
    np.testing.assert_array_equal(np.concatenate([piece.x for piece in pieces]), loaded.x_val)
    np.testing.assert_array_equal(np.concatenate([piece.y for piece in pieces]), loaded.y_val)
