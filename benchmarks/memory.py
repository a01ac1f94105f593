"""The memory estimate beside the truth: what a training process grows by while it loads, trains and writes checkpoints.

Prints, for each shape, the peak growth of a fresh process's resident memory, the estimate, and estimate / truth.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from app.domain.memory import estimate
from app.domain.resolve import resolve
from app.domain.schema import Column, Kind, StorageType
from app.domain.spec import JobSpec, ResolvedSpec
from app.tabular.row_groups import group_rows

MB = 2**20


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A dataset of numbers, texts of `levels` levels each, and a target of `classes` (0: numbers); the rest of a spec."""

    rows: int
    numbers: int
    levels: tuple[int, ...] = ()
    classes: int = 2
    members: int = 1
    spec: dict[str, object]


def _spec(*hidden: int, batch: int | str, network: dict[str, object] | None = None, **other: object) -> dict[str, object]:
    return {"network": {"hidden_layers": list(hidden), **(network or {})}, "batch_size": batch, **other}


_EMBEDDED = {"categorical": "embedding"}
_FRONT: dict[str, object] = {"numeric_features": {"kind": "piecewise_linear"}, "input_scaling": True}
SHAPES = {
    "200 000×50-64-64-2": Shape(rows=200_000, numbers=50, spec=_spec(64, 64, batch=1024)),
    "1 000 000×10-32-2": Shape(rows=1_000_000, numbers=10, spec=_spec(32, batch=1024)),
    "50 000×601-64-2, one-hot": Shape(rows=50_000, numbers=1, levels=(200,) * 3, spec=_spec(64, batch=256)),
    "100 000×505-32-2, one-hot": Shape(rows=100_000, numbers=5, levels=(50,) * 10, spec=_spec(32, batch=1024)),
    "50 000×238-64-2, embedded, full": Shape(
        rows=50_000, numbers=4, levels=(300,) * 6, spec=_spec(64, batch="full", preprocessing=_EMBEDDED)
    ),
    "500×100-2048-2048-2, adam": Shape(rows=500, numbers=100, spec=_spec(2048, 2048, batch=64)),
    "500×100-2048-2048-2, sgd": Shape(rows=500, numbers=100, spec=_spec(2048, 2048, batch=64, optimizer={"name": "sgd"})),
    "40 000×20-512-512-2, full": Shape(rows=40_000, numbers=20, spec=_spec(512, 512, batch="full")),
    "the same, gelu and dropout": Shape(
        rows=40_000, numbers=20, spec=_spec(512, 512, batch="full", network={"activation": "gelu", "dropout": 0.1})
    ),
    "40 000×20-256-256-2, full, batch norm": Shape(
        rows=40_000, numbers=20, spec=_spec(256, 256, batch="full", network={"normalization": "batch"})
    ),
    "100 000×20-64-100": Shape(rows=100_000, numbers=20, classes=100, spec=_spec(64, batch=1024)),
    "100 000×50-128-1, fp64": Shape(rows=100_000, numbers=50, classes=0, spec=_spec(128, batch=1024, precision="fp64")),
    "16 × 20 000×50-64-2": Shape(rows=20_000, numbers=50, members=16, spec=_spec(64, batch=256)),
    "50 000×20-64-64, numeric features": Shape(
        rows=50_000, numbers=20, classes=0, spec=_spec(64, 64, batch=256, network=_FRONT)
    ),
    "500×100-2048-2048-2, ntk": Shape(
        rows=500, numbers=100, spec=_spec(2048, 2048, batch=64, network={"parametrization": "ntk"})
    ),
    "20 000×500-8-2, 16 networks, dropout": Shape(
        rows=20_000, numbers=500, spec=_spec(8, batch=64, network={"dropout": 0.1}, ensemble={"members": 16})
    ),
    "50 000×20-64-64, 8 networks, numeric features": Shape(
        rows=50_000, numbers=20, classes=0, spec=_spec(64, 64, batch=256, network=_FRONT, ensemble={"members": 8})
    ),
    "8 × 200×50-512-512-2": Shape(rows=200, numbers=50, members=8, spec=_spec(512, 512, batch=32)),
}


def columns_of(shape: Shape) -> list[Column]:
    """As an upload would describe them."""
    numbers = [_number(f"x{i}", shape.rows) for i in range(shape.numbers)]
    texts = [_text(f"c{i}", levels, shape.rows) for i, levels in enumerate(shape.levels)]
    return [*numbers, *texts, _text("y", shape.classes, shape.rows) if shape.classes else _number("y", shape.rows)]


def _number(name: str, rows: int) -> Column:
    return Column(name=name, kind=Kind.NUMERIC, type=StorageType.FLOAT64, missing=0, distinct=rows)


def _text(name: str, levels: int, rows: int) -> Column:
    words = [f"level_{i:03}" for i in range(levels)]
    kind, counts = Kind.CATEGORICAL, [rows // levels] * levels
    return Column(name=name, kind=kind, type=StorageType.STRING, missing=0, distinct=levels, levels=[*words], counts=counts)


def resolved(shape: Shape) -> ResolvedSpec:
    """Three epochs of the shape's spec."""
    spec = JobSpec.model_validate({"dataset": "ds", "target": "y", "epochs": 3, **shape.spec})
    return resolve(spec, columns=columns_of(shape), rows=shape.rows).spec


def write(shape: Shape, path: Path) -> None:
    """Random numbers, and every level equally often."""
    draw, rows = np.random.default_rng(0), np.arange(shape.rows)
    cells = {}
    for column in columns_of(shape):
        if column.levels:
            cells[column.name] = pl.Series(column.levels).gather(rows % len(column.levels))
        else:
            cells[column.name] = pl.Series(draw.normal(size=shape.rows))
    pl.DataFrame(cells).write_parquet(path, row_group_size=group_rows(len(cells)))


def peak_growth(work: Callable[[], None]) -> int:
    """Bytes by which this process grew at its peak while it was at work, once it is warm; it must be a fresh one."""
    import torch

    from worker.warming import train_a_little

    torch.set_num_threads(1)
    train_a_little("cpu")
    before = _resident()
    work()
    return _peak() - before


def _work(spec: ResolvedSpec, shape: Shape, path: Path) -> None:
    """What a run keeps in memory: the loaded rows of all members, the stack, and one checkpoint after the other."""
    import safetensors.numpy
    import torch

    from app.tabular.loading import load
    from worker.engine.data import Member, train
    from worker.engine.ensembles import folds_of
    from worker.engine.export import to_onnx, write_weights
    from worker.engine.stack import Stack
    from worker.preparation import arrays_of

    specs = [spec.model_copy(update={"seed": seed}) for seed in range(shape.members)]
    loaded = [load(one, columns_of(shape), path) for one in specs]
    arrays = [arrays_of(rows) for rows in loaded]
    members = [
        Member(spec=one, arrays=found, folds=folds_of(one, train(found).y)) for one, found in zip(specs, arrays, strict=True)
    ]
    stack = Stack(members, dtype=torch.float64 if spec.precision == "fp64" else torch.float32)
    for _ in stack.train():
        pass
    for position, rows in enumerate(loaded):
        stack.evaluate(position, "validation", "best")
        state, weights = stack.recovery_state(position), stack.weights(position, "best")
        files = [to_onnx(columns=rows.columns, target=rows.target, spec=spec, weights=weights), write_weights(weights)]
        files.append(safetensors.numpy.save(state))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def _step(step: str, name: str, path: str) -> None:
    if step == "write":
        write(SHAPES[name], Path(path))
    else:
        shape = SHAPES[name]
        print(peak_growth(lambda: _work(resolved(shape), shape, Path(path))))


def main() -> None:
    """One fresh process for each shape; the rows are written by another one."""
    if len(sys.argv) > 2:
        _step(*sys.argv[1:])
        return
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.memory"]
            subprocess.run([*command, "write", name, f"{folder}/data"], check=True, stdout=subprocess.DEVNULL)
            done = subprocess.run([*command, "train", name, f"{folder}/data"], check=True, capture_output=True, text=True)
        truth, guess = int(done.stdout), estimate(resolved(shape), members=shape.members).total
        print(f"{name:40} truth {truth / MB:5.0f} MB   estimate {guess / MB:5.0f} MB   ratio {guess / truth:4.2f}", flush=True)


if __name__ == "__main__":
    main()
