"""Numeric features as ONNX nodes, from the scaled numbers, in float64."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from onnx import TensorProto

from app.domain.columns import Bins, NumericColumn, Waves
from worker.engine.onnx_graph import Graph

Block = tuple[str, list[int]]
"""A tensor [n, width], and the inputs of the network that its columns are."""


def feature_places(columns: Sequence[NumericColumn], *, first: int) -> dict[str, int]:
    """By column the place of its first feature among the inputs."""
    featured = {column.name: column.features.count for column in columns if column.features}
    return dict(zip(featured, accumulate(featured.values(), initial=first), strict=False))


def feature_blocks(graph: Graph, columns: Sequence[NumericColumn], scaled: str, starts: dict[str, int]) -> list[Block]:
    """A block for the columns of each kind and count; `scaled` [n, F] has the columns in this order."""
    kinds: dict[tuple[str, int], list[int]] = {}
    for place, column in enumerate(columns):
        if column.features:
            kinds.setdefault((column.features.kind, column.features.count), []).append(place)
    return [_block(graph, columns, scaled, starts, chosen) for chosen in kinds.values()]


def _block(graph: Graph, columns: Sequence[NumericColumn], scaled: str, starts: dict[str, int], chosen: Sequence[int]) -> Block:
    """[n, columns · count] of columns whose features are alike."""
    last = graph.constant("last", np.array([2]))
    values = graph.add("Gather", scaled, graph.constant("featured", np.array(chosen)), axis=1)
    values = graph.add("Unsqueeze", values, last)
    features = [columns[place].features for place in chosen]
    bins, waves = [one for one in features if isinstance(one, Bins)], [one for one in features if isinstance(one, Waves)]
    found = graph.add("Flatten", _bins(graph, values, bins) if bins else _waves(graph, values, waves), axis=1)
    inputs = [starts[columns[place].name] + number for place in chosen for number in _numbers(columns[place])]
    return graph.add("Cast", found, to=TensorProto.FLOAT), inputs


def _numbers(column: NumericColumn) -> range:
    return range(column.features.count if column.features else 0)


def _bins(graph: Graph, values: str, columns: Sequence[Bins]) -> str:
    """clip((z - low) · slope, 0, 1)."""
    low, slope = np.array([column.knots[:-1] for column in columns]), np.array([column.slopes for column in columns])
    part = graph.add("Mul", graph.add("Sub", values, graph.constant("low", low)), graph.constant("slope", slope))
    return graph.add("Clip", part, graph.constant("zero", np.array(0.0)), graph.constant("one", np.array(1.0)))


def _waves(graph: Graph, values: str, columns: Sequence[Waves]) -> str:
    """cos(2πωz + b)."""
    turns = graph.constant("turns", 2 * np.pi * np.array([column.frequencies for column in columns]))
    angle = graph.add("Add", graph.add("Mul", values, turns), graph.constant("phases", np.array([c.phases for c in columns])))
    return graph.add("Cos", angle)
