"""Rows that do not fit into memory: a dataset of ten times the budget is streamed, beside the same one held in memory.

    python -m benchmarks.rows [--repeats 3] [--rows 1000000] [--columns 50] [--folder /tmp]

Each training is a fresh process, warm as a worker's; the two kinds take turns. For each it prints the peak growth of its
resident memory, and the training's rows a second, validation of each epoch included; preparing the rows stands beside.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypedDict

from app.domain.memory import estimate
from app.domain.spec import ResolvedSpec
from app.domain.streaming import streamed
from benchmarks.memory import Shape, columns_of, peak_growth, resolved, write

MB, ALLOWED, EPOCHS = 10**6, 300 * 10**6, 3
SPEC: dict[str, object] = {"network": {"hidden_layers": [128, 64]}, "batch_size": 1024, "epochs": EPOCHS}


class Found(TypedDict):
    """What a process tells: bytes, and seconds."""

    growth: int
    preparing: float
    training: float


def shape_of(rows: int, columns: int) -> Shape:
    """Numbers and a label of two classes."""
    return Shape(rows=rows, numbers=columns - 1, spec=SPEC)


def budget_of(shape: Shape) -> int:
    """A tenth of the dataset, at 8 bytes a cell."""
    return shape.rows * (shape.numbers + 1) * 8 // 10


def train(kind: str, shape: Shape, path: Path) -> Found:
    """Prepare and train in this process, which must be a fresh one."""
    spec = resolved(shape)
    if kind == "streamed":
        spec = streamed(spec, budget_of(shape))
    seconds: list[float] = []
    growth = peak_growth(lambda: seconds.extend(_work(spec, shape, path)))
    return Found(growth=growth, preparing=seconds[0], training=seconds[1])


def _work(spec: ResolvedSpec, shape: Shape, path: Path) -> tuple[float, float]:
    """Seconds of preparing and of training; with what a worker measures at the end."""
    from app.tabular.loading import load
    from app.tabular.streaming import Streamed
    from worker.engine.data import Member
    from worker.engine.stack import Stack
    from worker.preparation import arrays_of
    from worker.stored_rows import store

    start = time.perf_counter()
    columns = columns_of(shape)
    rows = store(Streamed(spec, columns, path), spec) if spec.streaming else arrays_of(load(spec, columns, path))
    stack = Stack([Member(spec=spec, arrays=rows)])
    begun = time.perf_counter()
    for _ in stack.train():
        pass
    ended = time.perf_counter()
    stack.evaluate(0, "validation", "best")
    return begun - start, ended - begun


def measured(kind: str, arguments: list[str]) -> Found:
    """From a fresh process."""
    command = [sys.executable, "-m", "benchmarks.rows", "--step", kind, *arguments]
    found: Found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Write the rows, train by turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--folder", help="where the dataset is written, on a disk")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = shape_of(options.rows, options.columns)
    if options.step == "write":
        write(shape, Path(options.path))
    elif options.step:
        print(json.dumps(train(options.step, shape, Path(options.path))))
    else:
        _compare(shape, options)


def _compare(shape: Shape, options: argparse.Namespace) -> None:
    budget, spec = budget_of(shape), resolved(shape)
    print(f"{shape.rows} × {shape.numbers + 1}: {10 * budget / MB:.0f} MB of numbers, budget {budget / MB:.0f} MB", flush=True)
    for name, one in (("in memory", spec), ("streamed", streamed(spec, budget))):
        print(f"estimate {name}: {estimate(one)}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        arguments = ["--rows", str(options.rows), "--columns", str(options.columns), "--path", f"{folder}/data.parquet"]
        subprocess.run([sys.executable, "-m", "benchmarks.rows", "--step", "write", *arguments], check=True)
        pairs = [(measured("streamed", arguments), measured("held", arguments)) for _ in range(options.repeats)]
    _print(pairs, budget, rows=spec.train_rows * EPOCHS)


def _print(pairs: list[tuple[Found, Found]], budget: int, *, rows: int) -> None:
    for name, side in zip(("streamed", "in memory"), zip(*pairs, strict=True), strict=True):
        growth, preparing, training = (median(found[key] for found in side) for key in ("growth", "preparing", "training"))
        print(f"{name}: grew by {growth / MB:.0f} MB, prepared in {preparing:.1f} s, {rows / training:.0f} rows/s")
    worst = max(ours["growth"] for ours, _ in pairs)
    print(f"peak growth {worst / MB:.0f} MB, goal <= {(budget + ALLOWED) / MB:.0f} MB")
    _ratios("training, streamed / in memory", pairs, lambda found: 1 / found["training"], goal=">= 0.5")
    _ratios("preparing and training", pairs, lambda found: 1 / (found["preparing"] + found["training"]), goal="none")


def _ratios(name: str, pairs: list[tuple[Found, Found]], speed: Callable[[Found], float], *, goal: str) -> None:
    ratios = [speed(ours) / speed(other) for ours, other in pairs]
    print(f"{name}: speed ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), goal {goal}", flush=True)


if __name__ == "__main__":
    main()
