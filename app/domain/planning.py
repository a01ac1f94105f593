"""What a resolved spec comes to: its layers, and the columns that its features become."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

from app.domain.schema import Column, Kind, level_text
from app.domain.spec import ResolvedSpec


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of the network that has parameters."""

    name: str
    inputs: int
    outputs: int
    parameters: int


def layers_of(spec: ResolvedSpec) -> list[Layer]:
    """From the input to the output; their parameters add up to those of the spec."""
    found = [
        Layer(name=f"embedding of {table.column}", inputs=1, outputs=table.width, parameters=table.size)
        for table in spec.embeddings
    ]
    widths = list(pairwise(spec.layers))
    for number, (inputs, outputs) in enumerate(widths, 1):
        name = "output" if number == len(widths) else f"hidden_{number}"
        found.append(Layer(name=name, inputs=inputs, outputs=outputs, parameters=(inputs + 1) * outputs))
        if number < len(widths) and spec.network.normalization != "none":
            found.append(Layer(name=f"normalization_{number}", inputs=outputs, outputs=outputs, parameters=2 * outputs))
    return found


def steps_per_epoch(spec: ResolvedSpec) -> int:
    """Batches of the training rows, the last of which may be smaller."""
    return -(-spec.train_rows // spec.batch_size)


def columns_of(spec: ResolvedSpec, columns: Sequence[Column], *, most: int) -> list[str]:
    """The first `most` columns after preprocessing: a number's own name, `name=level` for each level of a category.

    Where missing values have an indicator it stands behind its column's own, as `name is missing`. Embedded columns stand
    behind all others, as `name[0]`, `name[1]` and so on.
    """
    described = {column.name: column for column in columns}
    beside = (_names(spec, described[name]) for name in spec.features)
    embedded = (f"{table.column}[{unit}]" for table in spec.embeddings for unit in range(table.width))
    return list(islice(chain(chain.from_iterable(beside), embedded), most))


def _names(spec: ResolvedSpec, column: Column) -> Iterator[str]:
    if column.name in {table.column for table in spec.embeddings}:
        pass
    elif spec.columns.get(column.name, column.kind) is Kind.CATEGORICAL:
        yield from (f"{column.name}={level_text(level)}" for level in column.levels or ())
    else:
        yield column.name
    if spec.preprocessing.missing == "indicator" and column.missing:
        yield f"{column.name} is missing"
