"""Embedded columns at prediction: `model.onnx` and the API answer what torch computes, unseen and missing values included."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from app.domain.columns import CategoricalColumn, FittedColumn
from app.domain.schema import StorageType
from app.domain.spec import ResolvedSpec
from app.serving.predict import open_session
from app.tabular.preprocessing import transform
from tests.serving import asking
from tests.serving.checkpoints import LABELS, NUMBER, TEXT, embedding, feed, network_of, resolved, state
from worker.engine.export import to_onnx

COLUMNS: list[FittedColumn] = [
    TEXT(name="city", levels=["Bonn", "Köln", "Rom", "Ulm"], embedding=3),
    NUMBER(name="size", impute=1.5, center=2.0, scale=0.5, indicator=True),
    TEXT(name="grade", levels=["A", "B", "C", "D"], embedding=2, indicator=True),
    TEXT(name="tone", levels=["x", "y"], indicator=True),
    CategoricalColumn(
        name="code", type=StorageType.INT64, kind="categorical", levels=["-1", "7", "12", "40"], impute="12", embedding=3
    ),
    TEXT(name="shade", levels=["", "p", "q", "r"], embedding=3, indicator=True),
    TEXT(name="make", levels=["k", "l", "m", "n"], embedding=2, impute="m", indicator=True),
]
FRAME = pl.DataFrame(
    {
        "city": ["Bonn", None, "Ulm", "Oslo", "Köln"],
        "size": [1.0, None, 5.1, -3.0, 0.0],
        "grade": [None, "D", "new", "A", "B"],
        "tone": ["y", None, "x", "z", "x"],
        "code": [7, 12, None, 99, -1],
        "shade": ["", "p", "q", "new", "r"],
        "make": ["k", "n", None, "new", "l"],
    }
)


def spec_of(columns: Sequence[FittedColumn], *, hidden_layers: Sequence[int] = (7, 5)) -> ResolvedSpec:
    inputs, hidden = sum(column.width for column in columns), list(hidden_layers)
    return embedding(resolved(inputs=inputs, outputs=3, loss="cross_entropy", hidden_layers=hidden), columns)


def probabilities(columns: Sequence[FittedColumn], frame: pl.DataFrame) -> NDArray[np.float32]:
    """What torch computes from the transformed columns."""
    spec = spec_of(columns)
    with torch.no_grad():
        z = network_of(spec)(torch.from_numpy(transform(columns, frame)).float())
    found: NDArray[np.float32] = z.softmax(-1).numpy()
    return found


def answered(columns: Sequence[FittedColumn], frame: pl.DataFrame) -> NDArray[np.float32]:
    """What `model.onnx` answers for the raw columns."""
    spec = spec_of(columns)
    onnx = to_onnx(columns=columns, target=LABELS, spec=spec, weights=state(network_of(spec)))
    found: NDArray[np.float32] = open_session(onnx).run(None, feed(columns, frame))[1]
    return found


def test_onnx_equals_torch_with_columns_of_every_kind() -> None:
    np.testing.assert_allclose(answered(COLUMNS, FRAME), probabilities(COLUMNS, FRAME), atol=1e-5)


@pytest.mark.parametrize("pair", list(combinations(range(len(COLUMNS)), 2)), ids=str)
def test_onnx_equals_torch_with_every_two_columns(pair: tuple[int, int]) -> None:
    columns = [COLUMNS[place] for place in pair]

    np.testing.assert_allclose(answered(columns, FRAME), probabilities(columns, FRAME), atol=1e-5)


@pytest.mark.parametrize("place", range(len(COLUMNS)))
def test_each_column_alone_is_a_whole_model(place: int) -> None:
    columns = COLUMNS[place : place + 1]

    np.testing.assert_allclose(answered(columns, FRAME), probabilities(columns, FRAME), atol=1e-5)


def test_missing_and_unseen_are_one_and_no_level() -> None:
    columns = COLUMNS[:1]

    p = answered(columns, pl.DataFrame({"city": [None, "Oslo", "Bonn", "Köln", "Rom", "Ulm"]}))

    assert p[0].tolist() == p[1].tolist()
    assert len({tuple(row) for row in p.tolist()}) == 5


def test_a_model_keeps_its_tables_small() -> None:
    """Not their product with a wide first layer."""
    columns = [TEXT(name="city", levels=[f"{i}" for i in range(1000)], embedding=4)]
    spec = spec_of(columns, hidden_layers=[1000])

    onnx = to_onnx(columns=columns, target=LABELS, spec=spec, weights=state(network_of(spec)))

    assert len(onnx) < 4 * 1001 * 4 + 4 * 1000 * 8 + 50_000


def test_the_api_answers_the_same() -> None:
    answer = asking.answered({"rows": [list(row) for row in FRAME.iter_rows()]}, columns=COLUMNS)

    np.testing.assert_allclose(np.array(answer["probabilities"]), probabilities(COLUMNS, FRAME), atol=1e-5)
