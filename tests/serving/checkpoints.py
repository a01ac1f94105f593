"""Small trained-looking checkpoints for tests: columns of every kind, a frame with every difficulty, a network of torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from app.domain.columns import AnyTarget, CategoricalColumn, FittedColumn, FittedTarget, FittedTargets, NumericColumn
from app.domain.manifest import MANIFEST, ONNX, Manifest
from app.domain.output import output_activation
from app.domain.schema import StorageType, Task
from app.domain.spec import Embedding, ResolvedSpec
from app.serving.sessions import Ready, load
from app.tabular.categories import as_text
from app.tabular.preprocessing import as_numbers
from worker.engine.export import manifest_json, to_onnx
from worker.engine.network import sequential

Array = NDArray[np.float64]

NUMBER = partial(NumericColumn, type=StorageType.FLOAT64, kind="numeric", impute=0.0)
TEXT = partial(CategoricalColumn, type=StorageType.STRING, kind="categorical")
LABELS = FittedTarget(name="y", type=StorageType.STRING, classes=["a", "b", "c"])
NUMBERS = FittedTarget(name="y", type=StorageType.FLOAT64, center=50.0, scale=4.0)

# Of different kinds side by side, so that each block of inputs must find its own rows of the weights.
COLUMNS: list[FittedColumn] = [
    TEXT(name="city", levels=["Bonn", "Köln", "Ulm"], indicator=True),
    NUMBER(name="size", impute=1.5, center=2.0, scale=0.5),
    NumericColumn(name="flag", type=StorageType.BOOL, kind="boolean", impute=0.25, center=0.5, scale=2.0),
    NUMBER(name="rank", impute=3.0, quantiles=[0.0, 1.0, 4.0, 10.0], center=0.5, scale=3.0),
    CategoricalColumn(name="code", type=StorageType.INT64, kind="categorical", levels=["7", "12"], impute="12"),
    NUMBER(name="constant", impute=9.0, center=9.0, scale=0.0),
    NUMBER(name="gap", impute=-1.0, center=1.0, scale=0.1, indicator=True),
    NUMBER(name="shares", impute=0.2, quantiles=[0.0, 0.5]),
    TEXT(name="grade", levels=["A", "B"], impute="B", indicator=True),
    TEXT(name="tone", levels=["x", "y"]),
    NUMBER(name="income", impute=900.0, center=1000.0, scale=0.002, clip=3.0, indicator=True),
    TEXT(name="side", levels=["left", "right"], signed=True, indicator=True),
    TEXT(name="sort", levels=["", "red"], signed=True, impute="red"),
]

FRAME = pl.DataFrame(
    {
        "city": ["Bonn", None, "Köln", "Oslo", "Ulm"],
        "size": [1.0, None, float("nan"), 5.1, -3.0],
        "flag": [True, False, None, True, False],
        "rank": [-1.0, 0.0, 2.5, None, 11.0],
        "code": [7, 12, None, 99, 7],
        "constant": [9.0, 9.0, 9.0, None, 100.0],
        "gap": [None, 25.0, 0.0, None, 3.0],
        "shares": [0.0, 0.25, 0.5, 0.7, None],
        "grade": ["A", "B", "C", None, "A"],
        "tone": ["y", None, "x", "z", "x"],
        "income": [None, 1e300, -200.0, 1100.0, 5e4],
        "side": ["left", "right", None, "middle", "left"],
        "sort": ["", "red", "red", "blue", ""],
    }
)


def resolved(
    *, task: Task = Task.MULTICLASS, inputs: int, outputs: int, loss: str, target: object = "y", **network: object
) -> ResolvedSpec:
    """A spec with hidden layers of 7 and 5."""
    hidden = network.setdefault("hidden_layers", [7, 5])
    assert isinstance(hidden, list)
    sizes = {"batch_size": 8, "train_rows": 8, "validation_rows": 0, "test_rows": 0, "parameters": 0}
    what: dict[str, object] = {
        "dataset": "ds_1",
        "target": target,
        "features": [],
        "classes": None,
        "task": task,
        "loss": {"name": loss},
    }
    return ResolvedSpec.model_validate({**what, **sizes, "layers": [inputs, *hidden, outputs], "network": network})


def embedding(spec: ResolvedSpec, columns: Sequence[FittedColumn]) -> ResolvedSpec:
    """The spec with the embeddings of the columns."""
    embeddings = [
        Embedding(column=column.name, levels=len(column.levels), width=column.embedding)
        for column in columns
        if isinstance(column, CategoricalColumn) and column.embedding
    ]
    return spec.model_copy(update={"embeddings": embeddings})


def network_of(spec: ResolvedSpec, *, seed: int = 0) -> torch.nn.Sequential:
    """In evaluation, with weights and running statistics that are far from their first values."""
    network = sequential(spec).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=generator)
            # Small variances, so that the epsilon beside them counts.
            tensor.copy_(drawn**4 + 1e-3 if name.endswith("running_var") else drawn - 0.5)
        if name.startswith("embeddings."):
            tensor[0] = 0
    return network


def state(network: torch.nn.Sequential) -> dict[str, NDArray[np.generic]]:
    """The state_dict as arrays."""
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def feed(columns: Sequence[FittedColumn], frame: pl.DataFrame) -> dict[str, NDArray[np.generic]]:
    """The inputs of `model.onnx` for a frame of raw columns."""
    numeric = [as_numbers(frame[column.name]) for column in columns if isinstance(column, NumericColumn)]
    texts: dict[str, NDArray[np.generic]] = {
        column.name: as_text(frame[column.name], column.type).fill_null("").to_numpy().astype(object)[:, None]
        for column in columns
        if isinstance(column, CategoricalColumn)
    }
    return {"features": np.column_stack(numeric), **texts} if numeric else texts


@dataclass(frozen=True)
class Files:
    """A checkpoint's files, and how often they were read."""

    content: dict[str, bytes]
    reads: list[str]

    def read(self, checkpoint_id: str, file: str) -> bytes:
        """The content of one of them."""
        self.reads.append(f"{checkpoint_id}/{file}")
        return self.content[file]


def shape_of(target: AnyTarget) -> tuple[Task, str, int]:
    """Task, loss and outputs that go with a target."""
    classes = target.classes
    if isinstance(target, FittedTargets):
        return (Task.MULTILABEL, "bce", len(target.columns)) if classes else (Task.REGRESSION, "mse", len(target.columns))
    if classes is None:
        return Task.REGRESSION, "mse", 1
    return (Task.BINARY, "bce", 1) if len(classes) == 2 else (Task.MULTICLASS, "cross_entropy", len(classes))


def files(columns: Sequence[FittedColumn] = COLUMNS, target: AnyTarget = LABELS, *, seed: int = 0) -> Files:
    """A checkpoint of the columns for the target."""
    task, loss, outputs = shape_of(target)
    inputs = sum(column.width for column in columns)
    spec = embedding(resolved(task=task, inputs=inputs, outputs=outputs, loss=loss, target=target.name), columns)
    manifest = Manifest(
        spec=spec,
        columns=list(columns),
        target=target,
        output=output_activation(spec),
        epoch=3,
        train_loss=0.5,
        val_loss=None,
        metrics={},
        provenance={},
    )
    onnx = to_onnx(columns=columns, target=target, spec=spec, weights=state(network_of(spec, seed=seed)))
    return Files({MANIFEST: manifest_json(manifest), ONNX: onnx}, [])


def ready(columns: Sequence[FittedColumn] = COLUMNS, target: FittedTarget = LABELS) -> Ready:
    """Such a checkpoint in memory."""
    return load(files(columns, target).content.__getitem__)
