"""Raw columns to the first linear layer, as ONNX nodes: imputation, scaling, indicators and levels, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from app.domain.columns import FARTHEST, CategoricalColumn, FittedColumn, NumericColumn, own_width
from worker.engine.onnx_features import Block, feature_blocks, feature_places
from worker.engine.onnx_graph import ML, Graph
from worker.engine.onnx_layers import Dense

Array = NDArray[np.float64]
Column = TypeVar("Column", NumericColumn, CategoricalColumn)


@dataclass(frozen=True)
class Placed(Generic[Column]):
    """A column, its number among those of its kind, and the place of its first network input."""

    column: Column
    number: int
    offset: int


def add_first_layer(
    graph: Graph,
    columns: Sequence[FittedColumn],
    layer: Dense,
    *,
    tables: Sequence[Array],
    features: str,
    texts: Sequence[str],
) -> str:
    """Nodes for x · Wᵀ + b on raw columns: `features` float64 [n, F] (NaN is missing), `texts` a string input [n, 1] each.

    A one-hot block is never built: its product with W is the row of Wᵀ that belongs to the level. `tables` [levels + 1, width]
    are the embeddings.
    """
    numeric, categorical = place(columns)
    one_hot = [placed for placed in categorical if placed.column.embedding is None]
    weight, bias = layer.weight.T, graph.constant("bias", layer.bias.astype(np.float32))
    beside = sum(map(own_width, columns))
    blocks = _number_blocks(graph, numeric, features=features, beside=beside) if numeric else []
    beside += sum(placed.column.features.count for placed in numeric if placed.column.features)
    for placed, table in zip((placed for placed in categorical if placed.column.embedding), tables, strict=True):
        blocks.append(_vector_block(graph, placed, table, text=texts[placed.number], offset=beside))
        beside += table.shape[1]
    total = _product(graph, blocks, weight, bias=bias) if blocks else bias
    return graph.add("Add", total, _level_part(graph, one_hot, weight, texts)) if one_hot else total


def place(columns: Sequence[FittedColumn]) -> tuple[list[Placed[NumericColumn]], list[Placed[CategoricalColumn]]]:
    """The numeric (and boolean) columns, and the categorical ones."""
    numeric: list[Placed[NumericColumn]] = []
    categorical: list[Placed[CategoricalColumn]] = []
    offset = 0
    for column in columns:
        if isinstance(column, NumericColumn):
            numeric.append(Placed(column, len(numeric), offset))
        else:
            categorical.append(Placed(column, len(categorical), offset))
        offset += own_width(column)
    return numeric, categorical


def _product(graph: Graph, blocks: Sequence[Block], weight: Array, *, bias: str) -> str:
    """[n, out]: Gemm of all blocks side by side."""
    names, inputs = [name for name, _ in blocks], [number for _, numbers in blocks for number in numbers]
    side_by_side = graph.add("Concat", *names, axis=1) if len(names) > 1 else names[0]
    return graph.add("Gemm", side_by_side, graph.constant("weight", weight[inputs].astype(np.float32)), bias)


def _vector_block(graph: Graph, placed: Placed[CategoricalColumn], table: Array, *, text: str, offset: int) -> Block:
    """The vectors of a column, which are inputs from `offset` on, and its indicator."""
    column, inputs = placed.column, list(range(offset, offset + table.shape[1]))
    codes = {level: code for code, level in enumerate(column.levels, start=1)}
    imputed = codes.get("", 0 if column.impute is None else codes[column.impute])
    missing = imputed
    if column.indicator:
        missing = len(table) if "" not in codes else imputed
        table = np.vstack([np.pad(table, ((0, 0), (0, 1))), [*table[imputed], 1.0]])
        inputs.append(placed.offset)
    keys = codes | {"": missing}
    found = graph.add(
        "LabelEncoder", text, domain=ML, keys_strings=list(keys), values_int64s=list(keys.values()), default_int64=0
    )
    vectors = graph.add("Gather", graph.constant("embedding", table.astype(np.float32)), found, axis=0)
    return graph.add("Flatten", vectors, axis=1), inputs


def _level_part(graph: Graph, categorical: list[Placed[CategoricalColumn]], weight: Array, texts: Sequence[str]) -> str:
    """[n, out]: the sum of one row of a table for each column."""
    rows: list[str] = []
    tables: list[Array] = []
    start = 0
    for placed in categorical:
        keys, rows_of_keys = _level_rows(placed, weight)
        numbers = range(start, start + len(keys))
        rows.append(
            graph.add(
                "LabelEncoder",
                texts[placed.number],
                domain=ML,
                keys_strings=keys,
                values_int64s=numbers,
                default_int64=start + len(keys),
            )
        )
        tables.append(rows_of_keys)
        start += len(rows_of_keys)
    chosen = graph.add("Concat", *rows, axis=1) if len(rows) > 1 else rows[0]
    table = graph.constant("levels", np.vstack(tables).astype(np.float32))
    return graph.add(
        "ReduceSum", graph.add("Gather", table, chosen, axis=0), graph.constant("columns", np.array([1])), keepdims=0
    )


def _level_rows(placed: Placed[CategoricalColumn], weight: Array) -> tuple[list[str], Array]:
    """The texts that have a row, "" (missing) last; their rows, and one more of zeros for a text never seen."""
    column, offset = placed.column, placed.offset
    rows = [-weight[offset], weight[offset]] if column.signed else weight[offset : offset + len(column.levels)]
    of = dict(zip(column.levels, rows, strict=True))
    levels = [level for level in column.levels if level]
    missing, unseen = _missing_row(placed, weight, of), np.zeros(weight.shape[1])
    return [*levels, ""], np.vstack([*(of[level] for level in levels), missing, unseen])


def _missing_row(placed: Placed[CategoricalColumn], weight: Array, of: dict[str, Array]) -> Array:
    """What "" stands for: itself where it is a level, else the imputed level and the indicator."""
    column = placed.column
    level = "" if "" in of else column.impute
    row: Array = np.zeros(weight.shape[1]) if level is None else of[level]
    flagged = column.indicator and "" not in of
    return row + weight[placed.offset + column.width - 1] if flagged else row


def _number_blocks(graph: Graph, numeric: list[Placed[NumericColumn]], *, features: str, beside: int) -> list[Block]:
    """The scaled numbers, then the indicators; and the features, which are inputs from `beside` on."""
    starts = feature_places([placed.column for placed in numeric], first=beside)
    numeric = sorted(numeric, key=lambda placed: placed.column.quantiles is not None)
    missing = graph.add("IsNaN", features)
    numbers = _imputed(graph, numeric, features, missing)
    scaled = _scaled(graph, [placed.column for placed in numeric], numbers)
    inputs = graph.add("Cast", scaled, to=TensorProto.FLOAT)
    places = [placed.offset for placed in numeric]
    flagged = [placed for placed in numeric if placed.column.indicator]
    if flagged:
        flags = _pick(graph, missing, [placed.number for placed in flagged], len(numeric))
        inputs = graph.add("Concat", inputs, graph.add("Cast", flags, to=TensorProto.FLOAT), axis=1)
        places += [placed.offset + 1 for placed in flagged]
    return [(inputs, places), *feature_blocks(graph, [placed.column for placed in numeric], scaled, starts)]


def _pick(graph: Graph, block: str, numbers: list[int], width: int) -> str:
    """The columns `numbers` of a block that is `width` wide."""
    if numbers == list(range(width)):
        return block
    return graph.add("Gather", block, graph.constant("pick", np.array(numbers)), axis=1)


def _imputed(graph: Graph, numeric: list[Placed[NumericColumn]], features: str, missing: str) -> str:
    """[n, F] in the order of `numeric`: missing values replaced, then ranked where a column has quantiles (they stand last)."""
    by_number = sorted(numeric, key=lambda placed: placed.number)
    impute = [np.nan if placed.column.impute is None else placed.column.impute for placed in by_number]
    values = graph.add("Where", missing, graph.constant("impute", np.array(impute)), features)
    ranked = [placed for placed in numeric if placed.column.quantiles]
    if not ranked:
        return values
    ranks = _ranks(
        graph,
        [placed.column.quantiles or [] for placed in ranked],
        _pick(graph, values, [placed.number for placed in ranked], len(numeric)),
    )
    plain = [placed.number for placed in numeric if not placed.column.quantiles]
    return graph.add("Concat", _pick(graph, values, plain, len(numeric)), ranks, axis=1) if plain else ranks


def _scaled(graph: Graph, columns: list[NumericColumn], values: str) -> str:
    """(x - center) * scale, float64, clipped smoothly where a column is."""
    centers, scales = np.array([column.center for column in columns]), np.array([column.scale for column in columns])
    if centers.any():
        values = graph.add("Sub", values, graph.constant("center", centers))
    if (scales != 1).any():
        values = graph.add("Mul", values, graph.constant("scale", scales))
    limits = np.array([np.inf if column.clip is None else column.clip for column in columns])
    return _clipped(graph, values, limits) if np.isfinite(limits).any() else values


def _clipped(graph: Graph, z: str, limits: Array) -> str:
    """A number far below its limit stays as it is; where the limit is infinite, every number to the last bit."""
    lowest, highest = graph.constant("lowest", np.array(-FARTHEST)), graph.constant("highest", np.array(FARTHEST))
    z = graph.add("Clip", z, lowest, highest)
    part = graph.add("Div", z, graph.constant("limit", limits))
    below = graph.add("Sqrt", graph.add("Add", graph.add("Mul", part, part), graph.constant("one", np.array(1.0))))
    return graph.add("Div", z, below)


def _ranks(graph: Graph, quantiles: list[list[float]], values: str) -> str:
    """[n, F] of numpy.interp(x, quantiles, linspace(0, 1)): the mean over a column's intervals of the part that lies below x.

    That part is clip((x - low) / width, 0, 1).
    """
    most = max(map(len, quantiles)) - 1
    low, slope, share = (np.zeros((len(quantiles), most)) for _ in range(3))
    for index, knots in enumerate(quantiles):
        count = len(knots) - 1
        low[index, :count] = knots[:-1]
        slope[index, :count] = 1 / np.diff(knots)
        share[index, :count] = 1 / count
    part = graph.add("Sub", graph.add("Unsqueeze", values, graph.constant("last", np.array([2]))), graph.constant("low", low))
    part = graph.add("Mul", part, graph.constant("slope", slope))
    part = graph.add("Clip", part, graph.constant("zero", np.array(0.0)), graph.constant("one", np.array(1.0)))
    part = graph.add("Mul", part, graph.constant("share", share))
    return graph.add("ReduceSum", part, graph.constant("intervals", np.array([2])), keepdims=0)
