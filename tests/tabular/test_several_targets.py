"""A target of several columns, from stored rows to arrays."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from app.domain.columns import FittedTargets
from app.tabular.counting import complete_rows
from app.tabular.loading import Loaded, load
from tests.tabular.specs import described, resolved, resolved_with

FRAME = pl.DataFrame(
    {
        "x": np.arange(8.0),
        "w": [1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0],
        "length": [1.5, 2.5, None, 4.5, 5.5, 6.5, 7.5, 8.5],
        "mass": [100.0, 300.0, 100.0, 300.0, 100.0, 300.0, 100.0, 300.0],
        "red": [True, False, True, None, False, True, True, False],
        "tall": [False, False, True, True, True, False, True, False],
    }
)


def loaded(**values: object) -> Loaded:
    spec = resolved(FRAME, features=["x"], **values).spec
    return load(spec, described(FRAME), parquet(FRAME))


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def test_each_column_is_standardized_by_its_own_training_rows_and_rows_that_lack_one_are_left_out() -> None:
    found = loaded(target=["length", "mass"], split={"validation": 0.3}, preprocessing={"numeric": "none"})

    assert found.y_train.shape == (5, 2)
    np.testing.assert_allclose(found.y_train.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.y_train.std(0), 1)
    assert isinstance(found.target, FittedTargets)
    assert found.target.name == ["length", "mass"]
    back = np.concatenate([found.y_train, found.y_val]) * np.array(found.target.scale) + np.array(found.target.center)
    x = np.concatenate([found.x_train, found.x_val])[:, 0].astype(int)
    expected = FRAME[x.tolist()].select("length", "mass").to_numpy()
    np.testing.assert_allclose(back, expected)
    assert sorted(x) == [0, 1, 3, 4, 5, 6, 7]


def test_numbers_that_are_not_standardized_stay_as_they_are() -> None:
    found = loaded(target=["mass", "length"], split={"validation": 0.0}, preprocessing={"target": "none"})

    assert found.y_train[0].tolist() == [100.0, 1.5]
    assert (found.target.center, found.target.scale) == ([0.0, 0.0], [1.0, 1.0])


def test_labels_are_0_and_1_and_rows_that_lack_one_are_left_out() -> None:
    found = loaded(target=["tall", "red"], split={"validation": 0.0}, sample_weight="w")

    assert found.y_train.tolist() == [[0, 1], [0, 0], [1, 1], [1, 0], [0, 1], [1, 1], [0, 0]]
    assert found.y_train.dtype == np.dtype(np.int64)
    assert found.target.classes == ["tall", "red"]
    assert found.w_train is not None
    assert found.w_train.tolist() == [1.0, 2.0, 1.0, 2.0, 1.0, 1.0, 1.0]


def test_they_are_split_by_a_column_and_read_from_datasets_of_one_s_own() -> None:
    own = FRAME.with_columns(length=pl.Series([None, 1.5] * 4, dtype=pl.Float64)).select(reversed(FRAME.columns))
    frames = {"test": own}
    split = {"method": "time", "column": "x", "validation": 0.3}
    spec = resolved_with(
        frames, FRAME, target=["length", "mass"], features=["w"], split=split, preprocessing={"target": "none"}
    ).spec

    found = load(spec, described(FRAME), parquet(FRAME), test=parquet(own))

    assert (spec.train_rows, spec.validation_rows, spec.test_rows) == (5, 2, 4)
    assert found.y_train.tolist() == [[1.5, 100], [2.5, 300], [4.5, 300], [5.5, 100], [6.5, 300]]
    assert found.y_val.tolist() == [[7.5, 100], [8.5, 300]]
    assert found.y_test.tolist() == [[1.5, 300]] * 4


@pytest.mark.parametrize(
    ("names", "expected"), [(["length", "red"], 6), (["length", "mass"], 7), (["length", "red", "tall"], 6), (["mass", "x"], 8)]
)
def test_whole_rows_are_counted(names: list[str], expected: int, tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "data.parquet")

    assert complete_rows(tmp_path / "data.parquet", names) == expected
