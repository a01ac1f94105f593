"""What a resolved spec comes to: its layers, and the columns that its features become."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

from app.domain.front import front_of_spec
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
    """From the input to the output, as they are trained; their parameters add up to those of the spec."""
    found = [
        Layer(name=f"embedding of {table.column}", inputs=1, outputs=table.width, parameters=table.size)
        for table in spec.embeddings
    ]
    front = front_of_spec(spec)
    if front and front.columns:
        inputs, outputs = front.columns * front.features, front.columns * front.width
        found.append(Layer(name="numeric_features", inputs=inputs, outputs=outputs, parameters=front.mixtures))
    if front and front.scaled:
        found.append(Layer(name="input_scaling", inputs=front.inputs, outputs=front.inputs, parameters=front.inputs))
    widths = list(pairwise([front.inputs if front else spec.layers[0], *spec.layers[1:]]))
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

    Of a category that is signed there is the second level alone. Where missing values have an indicator it stands behind its
    column's own, as `name is missing`. Behind all of these stand numeric features, as `name feature 0` and so on, and then
    embedded columns, as `name[0]`, `name[1]` and so on.
    """
    described = {column.name: column for column in columns}
    beside = (_names(spec, described[name]) for name in spec.features)
    embedded = (f"{table.column}[{unit}]" for table in spec.embeddings for unit in range(table.width))
    count = spec.network.numeric_features.count if spec.network.numeric_features else 0
    features = (f"{name} feature {number}" for name in spec.numeric_feature_columns for number in range(count))
    return list(islice(chain(chain.from_iterable(beside), features, embedded), most))


def _names(spec: ResolvedSpec, column: Column) -> Iterator[str]:
    levels = [level_text(level) for level in column.levels or ()]
    if column.name in {table.column for table in spec.embeddings}:
        pass
    elif spec.columns.get(column.name, column.kind) is Kind.CATEGORICAL:
        yield from (f"{column.name}={level}" for level in levels[spec.preprocessing.is_signed(len(levels)) :])
    else:
        yield column.name
    if spec.preprocessing.has_indicators and column.missing:
        yield f"{column.name} is missing"
