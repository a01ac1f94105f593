import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, QuantileTransformer, RobustScaler, StandardScaler

from app.domain.columns import CategoricalColumn, FittedColumn, NumericColumn
from app.domain.errors import InvalidData
from app.tabular.preprocessing import fit, transform
from tests.tabular.specs import described, resolved

NAN = float("nan")
SCALERS = {
    "standard": StandardScaler(),
    "minmax": MinMaxScaler(),
    "robust": RobustScaler(),
    "quantile": QuantileTransformer(n_quantiles=101),
}


def _fitted(frame: pl.DataFrame, training: pl.DataFrame | None = None, **preprocessing: str) -> list[FittedColumn]:
    """Features x…, fitted on `training` (all rows unless said otherwise)."""
    whole = frame.with_columns(y=pl.Series(range(len(frame)), dtype=pl.Float64) + 0.5)
    features = frame.columns
    spec = resolved(whole, features=features, preprocessing=preprocessing, split={"validation": 0.0}).spec
    return fit(spec, described(whole), frame if training is None else training)


def _number(frame: pl.DataFrame, training: pl.DataFrame | None = None, **preprocessing: str) -> NumericColumn:
    column = _fitted(frame, training, **preprocessing)[0]
    assert isinstance(column, NumericColumn)
    return column


def _category(frame: pl.DataFrame, training: pl.DataFrame | None = None, **preprocessing: str) -> CategoricalColumn:
    column = _fitted(frame, training, **preprocessing)[0]
    assert isinstance(column, CategoricalColumn)
    return column


def _normal(rows: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(3.0, 5.0, rows)


@pytest.mark.parametrize("numeric", SCALERS)
def test_scaling_is_that_of_scikit_learn(numeric: str) -> None:
    training, other = _normal(500), _normal(700)
    columns = [_number(pl.DataFrame({"x": training}), numeric=numeric)]

    ours = transform(columns, pl.DataFrame({"x": other}))

    theirs = SCALERS[numeric].fit(training[:, None]).transform(other[:, None])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@given(
    values=arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6)),
    numeric=st.sampled_from([*SCALERS, "robust_clip"]),
)
def test_any_training_values_give_finite_inputs(values: NDArray[np.float64], numeric: str) -> None:
    frame = pl.DataFrame({"x": values})

    inputs = transform([_number(frame, numeric=numeric)], frame)

    assert np.isfinite(inputs).all()
    assert numeric != "robust_clip" or np.abs(inputs).max() <= 3
    if numeric in ("minmax", "quantile"):
        assert (inputs >= 0).all()
        assert (inputs <= 1 + 1e-12).all()


@pytest.mark.parametrize("numeric", [*SCALERS, "robust_clip"])
def test_a_constant_column_contributes_nothing(numeric: str) -> None:
    column = _number(pl.DataFrame({"x": [0.1, 0.1, 0.1]}), numeric=numeric)

    assert transform([column], pl.DataFrame({"x": [0.1, 7.0, None]})).tolist() == [[0.0], [0.0], [0.0]]


def test_unscaled_numbers_stay_as_they_are() -> None:
    column = _number(pl.DataFrame({"x": [5.0, 5.0]}), numeric="none")

    assert transform([column], pl.DataFrame({"x": [5.0, -1.5]})).tolist() == [[5.0], [-1.5]]


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent", "indicator", "median_indicator"])
def test_a_column_without_training_values_contributes_zeros(missing: str) -> None:
    whole = pl.DataFrame({"x": [None, None, 3.0]})

    column = _number(whole, whole[:2], missing=missing)

    assert transform([column], pl.DataFrame({"x": [3.0, None]}))[:, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent"])
def test_imputation_is_that_of_scikit_learn(missing: str) -> None:
    values = [4.0, 1.0, None, 4.0, 1.0, 9.0]

    column = _number(pl.DataFrame({"x": values}), missing=missing, numeric="none")

    theirs = SimpleImputer(strategy=missing).fit_transform(np.array([[v if v is not None else NAN] for v in values]))
    assert transform([column], pl.DataFrame({"x": values})).tolist() == theirs.tolist()


def test_missing_values_do_not_count_in_the_scale() -> None:
    with_missing = _number(pl.DataFrame({"x": [1.0, None, 3.0]}))
    without = _number(pl.DataFrame({"x": [1.0, 3.0]}))

    assert (with_missing.center, with_missing.scale) == (without.center, without.scale)


def test_an_indicator_stands_beside_columns_that_miss_values_anywhere() -> None:
    whole = pl.DataFrame({"x": [1.0, 3.0, None], "full": [1.0, 2.0, 3.0], "word": ["a", "b", None]})

    columns = _fitted(whole, whole[:2], missing="indicator")

    assert [column.width for column in columns] == [2, 1, 3]
    assert transform(columns, whole[2:]).tolist() == [[0.0, 1.0, 3.0, 0.0, 0.0, 1.0]]


def test_refused_missing_values_are_invalid_data_at_prediction_too() -> None:
    columns = _fitted(pl.DataFrame({"x": [1.0, 2.0], "word": ["a", "b"]}), missing="error")

    with pytest.raises(InvalidData, match="'x' has missing values"):
        transform(columns, pl.DataFrame({"x": [None], "word": ["a"]}, schema={"x": pl.Float64, "word": pl.String}))
    with pytest.raises(InvalidData, match="'word' has missing values"):
        transform(columns, pl.DataFrame({"x": [1.0], "word": [None]}, schema={"x": pl.Float64, "word": pl.String}))


def test_one_hot_is_that_of_scikit_learn_and_unseen_is_zeros() -> None:
    words = ["b", "a", "c", "a"]
    column = _category(pl.DataFrame({"x": words}))

    ours = transform([column], pl.DataFrame({"x": [*words, "new", None]}))

    theirs = OneHotEncoder(sparse_output=False).fit_transform(np.array(words)[:, None])
    assert ours[:4].tolist() == theirs.tolist()
    assert ours[4:].tolist() == [[0.0] * 3, [0.0] * 3]


def test_the_codes_of_embedded_columns_stand_behind_all_other_inputs() -> None:
    words = ["a", "b", "c", "d", "e", None]
    whole = pl.DataFrame({"city": words, "x": [0.0] * 6, "flag": ["n", "y", "n", "y", "n", None], "code": words[::-1]})

    columns = _fitted(whole, categorical="embedding", missing="indicator", numeric="none")

    assert [column.width for column in columns] == [4 + 1, 1, 2 + 1, 4 + 1]
    found = transform(columns, whole)
    # The indicator of city, x, flag's two levels and indicator, the indicator of code, the two codes.
    assert found[0].tolist() == [0, 0, 1, 0, 0, 1, 1, 0]
    assert found[1].tolist() == [0, 0, 0, 1, 0, 0, 2, 5]
    assert found[5].tolist() == [1, 0, 0, 0, 1, 0, 0, 1]


def test_an_embedded_column_takes_the_commonest_level_for_missing_and_code_0_for_unseen() -> None:
    frame = pl.DataFrame({"x": ["d", "b", "b", "c", "a", None]})
    column = _category(frame, missing="most_frequent", categorical="embedding")

    assert column.embedding == 3
    assert transform([column], pl.DataFrame({"x": [None, "a", "d", "new"]})).tolist() == [[2], [1], [4], [0]]


def test_refused_missing_values_are_invalid_data_of_embedded_columns_too() -> None:
    column = _category(pl.DataFrame({"x": ["a", "b", "c", "d"]}), missing="error", categorical="embedding")

    with pytest.raises(InvalidData, match="'x' has missing values"):
        transform([column], pl.DataFrame({"x": [None]}, schema={"x": pl.String}))


def test_levels_come_from_the_whole_dataset_and_the_commonest_from_the_training_rows() -> None:
    whole = pl.DataFrame({"x": ["a", "b", "b", "c", "c", "c"]})

    column = _category(whole, whole[:3], missing="most_frequent")

    assert (column.levels, column.impute) == (["a", "b", "c"], "b")
    assert transform([column], pl.DataFrame({"x": [None]}, schema={"x": pl.String})).tolist() == [[0.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("values", "levels", "unseen"),
    [([1, 12, None], ["1", "12"], 3), ([1.0, 12.0, None], ["1", "12"], 1.5), ([True, False, None], ["false", "true"], None)],
)
def test_numbers_and_booleans_can_be_categories(values: list[object], levels: list[str], unseen: object) -> None:
    frame = pl.DataFrame({"x": values, "y": [0.5, 1.5, 2.5]})
    spec = resolved(frame, columns={"x": "categorical"}, split={"validation": 0.0}).spec

    columns = fit(spec, described(frame), frame)

    assert isinstance(columns[0], CategoricalColumn)
    assert columns[0].levels == levels
    one_hot = transform(columns, pl.DataFrame({"x": [values[1], unseen]}, schema={"x": frame["x"].dtype}))
    assert one_hot.tolist() == [[float(text == str(values[1]).lower().removesuffix(".0")) for text in levels], [0.0, 0.0]]


def test_booleans_are_scaled_as_0_and_1() -> None:
    column = _number(pl.DataFrame({"x": [True, False, True, False]}))

    assert (column.kind, column.center, column.scale) == ("boolean", 0.5, 2.0)
    assert transform([column], pl.DataFrame({"x": [True, False]})).tolist() == [[1.0], [-1.0]]


def test_robust_scaling_falls_back_to_the_deviation_where_half_the_values_are_equal() -> None:
    column = _number(pl.DataFrame({"x": [0.0] * 9 + [10.0]}), numeric="robust")

    assert column.center == 0.0
    assert column.scale == pytest.approx(1 / 3.0)


@pytest.mark.parametrize(
    ("values", "center", "scale"),
    [
        ([1.0, 2.0, 3.0, 4.0, 9.0], 3.0, 1 / 2.0),
        ([5.0, 5.0, 5.0, 5.0, 5.0, 9.0], 5.0, 2 / 4.0),
        ([5.0, 5.0, 5.0], 5.0, 0.0),
    ],
    ids=["quartiles", "equal quartiles", "constant"],
)
def test_smooth_clipping_scales_by_quartiles_or_the_range_and_ends_at_three(
    values: list[float], center: float, scale: float
) -> None:
    column = _number(pl.DataFrame({"x": values}), numeric="robust_clip")
    cells = np.array([*values, center + 1e-9, -1e300, 1e300])

    found = transform([column], pl.DataFrame({"x": cells}))[:, 0]

    z = (cells[:-2] - center) * scale
    assert (column.center, column.scale, column.clip) == (center, scale, 3.0)
    np.testing.assert_allclose(found[:-2], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-15)
    assert found[-2:].tolist() == ([-3.0, 3.0] if scale else [0.0, 0.0])


def test_missing_values_can_be_the_median_with_an_indicator() -> None:
    whole = pl.DataFrame({"x": [1.0, 2.0, 9.0, None], "word": ["a", "b", None, "a"]})

    columns = _fitted(whole, missing="median_indicator", numeric="none")

    assert transform(columns, whole[2:]).tolist() == [[9.0, 0.0, 0.0, 0.0, 1.0], [2.0, 1.0, 1.0, 0.0, 0.0]]


def test_a_column_of_two_levels_can_be_a_sign_and_has_none_where_it_is_missing_or_unseen() -> None:
    whole = pl.DataFrame({"x": ["no", "yes", None], "three": ["a", "b", "c"]})

    columns = _fitted(whole, categorical="one_hot_signed", missing="indicator")

    assert [column.width for column in columns] == [2, 3]
    cells = pl.DataFrame({"x": ["no", "yes", None, "perhaps"], "three": ["a", "d", "c", "b"]})
    signed = [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    one_hot = [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    assert transform(columns, cells).tolist() == [one + other for one, other in zip(signed, one_hot, strict=True)]


def test_equal_quantiles_count_once() -> None:
    column = _number(pl.DataFrame({"x": [0.0, 0.0, 0.0, 0.0, 1.0]}), numeric="quantile")

    assert column.quantiles == [0.0, 1.0]
    assert transform([column], pl.DataFrame({"x": [-1.0, 0.0, 0.25, 1.0, 2.0]}))[:, 0].tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]


def test_the_range_seen_in_training_is_kept() -> None:
    column = _number(pl.DataFrame({"x": [3.0, -1.0, None, 50.0]}), pl.DataFrame({"x": [3.0, -1.0]}))

    assert (column.minimum, column.maximum) == (-1.0, 3.0)
