"""The engine on a GPU: first that its numbers are right, then how quick it is; ratios of things measured in one run.

    python -m benchmarks.gpu [--device cuda] [--quick]

Needs nothing but torch and numpy beside the repository, and less than ten minutes on a large GPU. The engine validates every
epoch with its metrics and keeps the best one and all losses; the textbook loop, on the same device, only trains. A check that
fails and a ratio that cannot be had end the run with status 1; a goal that is missed is named.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from app.domain.kinds import Task
from worker.engine import replay
from worker.engine.data import Member, MemberArrays
from worker.engine.precision import use_whole_float32
from worker.engine.reports import MemberReport
from worker.engine.stack import Stack

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0},
    "adam": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
}


class Spec(SimpleNamespace):
    """What the engine reads of a resolved spec, which would need pydantic."""

    def model_copy(self, *, update: dict[str, Any]) -> "Spec":
        """The same with other fields."""
        return Spec(**(vars(self) | update))


@dataclass(frozen=True)
class Work:
    """What is trained: random rows, and a fifth of all for validation; one output is of two classes.

    `changes` are fields of the network, `tables` of embeddings, or how many `networks` an ensemble has.
    """

    name: str
    layers: tuple[int, ...]
    rows: int
    batch_size: int
    epochs: int
    optimizer: str
    precision: str = "fp32"
    changes: dict[str, Any] = field(default_factory=dict)

    def member(self, seed: int = 0, *, split: int = 0) -> Member:
        """A job like any other; those with the same `split` have the same rows, as the trials of a sweep do."""
        rng, held_out = np.random.default_rng(split), self.rows // 4
        tables = self.changes.get("tables", [])
        x = rng.normal(size=(self.rows + held_out, self.layers[0]))
        y = rng.integers(0, max(2, self.layers[-1]), self.rows + held_out)
        x = np.column_stack([x, *(rng.integers(0, levels + 1, len(x)) for levels, _ in tables)])
        arrays = MemberArrays(x_train=x[: self.rows], y_train=y[: self.rows], x_val=x[self.rows :], y_val=y[self.rows :])
        return Member(spec=self._spec(seed, split, tables), arrays=arrays)

    def _spec(self, seed: int, split: int, tables: Sequence[tuple[int, int]]) -> Any:
        """Of a job of this work."""
        network = {"activation": "relu", "normalization": "none", "initialization": "default", "dropout": 0.0}
        network |= {name: value for name, value in self.changes.items() if name in network}
        optimizer = {"name": self.optimizer, "learning_rate": 0.01 / (1 + seed)} | OPTIMIZERS[self.optimizer]
        inputs = self.layers[0] + sum(width for _, width in tables)
        one, networks = self.layers[-1] == 1, self.changes.get("networks", 1)
        return Spec(
            task=Task.BINARY if one else Task.MULTICLASS,
            layers=[inputs, *self.layers[1:]],
            embeddings=[SimpleNamespace(levels=n, width=width, size=(n + 1) * width) for n, width in tables],
            network=SimpleNamespace(
                **network,
                hidden_layers=list(self.layers[1:-1]),
                parametrization="standard",
                numeric_features=None,
                input_scaling=False,
            ),
            numeric_feature_columns=[],
            parameter_groups=SimpleNamespace(
                **{name: SimpleNamespace() for name in ("bias", "input_scaling", "numeric_features")}
            ),
            loss=SimpleNamespace(name="bce" if one else "cross_entropy", label_smoothing=0.0),
            optimizer=SimpleNamespace(**optimizer),
            lr_schedule=SimpleNamespace(name="constant", warmup_epochs=0),
            regularization_schedule="constant",
            calibration="none",
            ensemble=SimpleNamespace(members=networks, folds=False) if networks > 1 else None,
            networks=networks,
            parameters=networks * sum((a + 1) * b for a, b in pairwise([inputs, *self.layers[1:]])),
            checkpoints=SimpleNamespace(every=None, keep=1),
            epochs=self.epochs,
            batch_size=self.batch_size,
            train_rows=self.rows,
            precision=self.precision,
            seed=split,
            record_every=1,
            early_stopping=None,
            gradient_clip_norm=None,
            max_seconds=None,
        )


IRIS = Work("120×4 → 10 → 3, full batch, SGD", (4, 10, 3), 120, 120, 10_000, "sgd")
DIGITS = Work("1437×64 → 64 → 64 → 10, batch 64, Adam", (64, 64, 64, 10), 1437, 64, 200, "adam")
LARGE = Work("65 536×512 → 3 × 4096 → 10, batch 8192, Adam", (512, 4096, 4096, 4096, 10), 65_536, 8192, 10, "adam")

CASES = {
    "full batch": Work("", (4, 10, 3), 120, 120, 600, "sgd"),
    "mini-batches": Work("", (6, 16, 8, 3), 500, 64, 24, "adam"),
    "dropout": Work("", (6, 16, 8, 3), 500, 64, 24, "adam", changes={"dropout": 0.2}),
    "batch normalization": Work("", (6, 16, 8, 3), 512, 64, 24, "adam", changes={"normalization": "batch"}),
    "one output, layer normalization": Work("", (6, 16, 1), 500, 64, 24, "adam", changes={"normalization": "layer"}),
    "an ensemble": Work("", (6, 16, 8, 3), 500, 64, 24, "adam", changes={"networks": 3, "dropout": 0.2}),
    "embeddings": Work("", (3, 16, 3), 500, 64, 24, "adam", changes={"tables": [(7, 3), (40, 5)]}),
    "bf16": Work("", (6, 16, 8, 3), 500, 64, 24, "adam", precision="bf16"),
}
Numbers = list[list[float]]


def curves(
    members: Sequence[Member], *, device: str, dtype: torch.dtype = torch.float32, cut: int = 0
) -> tuple[Numbers, Stack]:
    """Train and validation losses of each member; with `cut`, from a recovery point on that was taken after so many reports."""
    losses: Numbers = [[] for _ in members]
    stack = Stack(members, dtype=dtype, device=device, report_seconds=0.0 if cut else 0.25)
    for count, reports in enumerate(stack.train(), start=1):
        _take(reports, losses)
        if count == cut:
            states = [stack.recovery_state(position) for position in range(len(members))]
            stack = Stack(members, dtype=dtype, device=device, states=states)
            for later in stack.train():
                _take(later, losses)
            break
    return losses, stack


def _take(reports: Sequence[MemberReport], losses: Numbers) -> None:
    for report in reports:
        for train, val in zip(report.epochs.train_loss, report.epochs.val_loss, strict=True):
            losses[report.position] += [train, val or 0.0]


def weights(stack: Stack) -> list[bytes]:
    """Of the first member, best and last."""
    return [array.tobytes() for which in ("best", "last") for array in stack.weights(0, which).values()]


@contextmanager
def recorders(found: Callable[..., replay.Recorder | None]) -> Iterator[None]:
    """Steps are recorded by what `found` gives."""
    usual, replay.of = replay.of, found
    try:
        yield
    finally:
        replay.of = usual


def check_recording(case: str, *, device: str) -> str | None:
    """Recorded steps learn the bits of single calls, and there was something recorded."""
    member, made = CASES[case].member(), list[replay.CudaGraphs]()

    def graphs(*_: object) -> replay.Recorder:
        made.append(replay.CudaGraphs(torch.device(device)))
        return made[-1]

    with recorders(graphs if device == "cuda" else replay.of):
        ours, stack = curves([member], device=device)
    with recorders(lambda *_: replay.OneByOne()):
        theirs, other = curves([member], device=device)
    if made and (made[0].failed or not made[0].recorded):
        return "a recording was broken off" if made[0].failed else "no graph was recorded"
    # On a CPU the ordinary way is not by pieces, and rounds otherwise.
    same = ours == theirs and weights(stack) == weights(other) if device == "cuda" else _apart(ours, theirs) < 1e-2
    return None if same else f"the bits differ, losses by {_apart(ours, theirs):.1e}"


def check_resume(case: str, *, device: str) -> str | None:
    """A run that goes on from a recovery point learns the same bits; so does a second run."""
    member = CASES[case].member()
    whole, stack = curves([member], device=device)
    for cut in (0, 2, 9):
        again, other = curves([member], device=device, cut=cut)
        if again != whole or weights(stack) != weights(other):
            return f"the bits differ after {cut} reports, losses by {_apart(again, whole):.1e}"
    return None


def check_packed(case: str, *, device: str) -> str | None:
    """A member learns among others what it learns alone: 1e-9 in float64."""
    members = [CASES[case].member(seed, split=seed) for seed in range(5)]
    together, _ = curves(members, device=device, dtype=torch.float64)
    alone = [curves([member], device=device, dtype=torch.float64)[0][0] for member in members]
    return _close(together, alone)


def check_cpu(case: str, *, device: str) -> str | None:
    """The device learns what a CPU learns, over ten epochs: 1e-9 in float64."""
    member = replace(CASES[case], epochs=10).member()
    return _close(*(curves([member], device=where, dtype=torch.float64)[0] for where in (device, "cpu")))


def _close(found: Numbers, expected: Numbers) -> str | None:
    return None if (apart := _apart(found, expected)) < 1e-9 else f"losses differ by {apart:.1e}"


def _apart(found: Numbers, expected: Numbers) -> float:
    """The largest relative difference."""
    ours, theirs = (np.concatenate([np.array(row) for row in rows]) for rows in (found, expected))
    return float(np.inf) if ours.shape != theirs.shape else float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


def checks(device: str) -> int:
    """Print each check; answers how many failed."""
    failed = 0
    exact = [case for case in CASES if CASES[case].precision != "bf16"]
    for check, cases in ((check_recording, [*CASES]), (check_resume, [*CASES]), (check_packed, exact), (check_cpu, exact)):
        for case in cases:
            fault = _fault(check, case, device)
            failed += fault is not None
            print(
                f"{'ok    ' if fault is None else 'FAILED'} {check.__name__}, {case}: {fault or (check.__doc__ or '')}",
                flush=True,
            )
    return failed


def _fault(check: Callable[..., str | None], case: str, device: str) -> str | None:
    try:
        return check(case, device=device)
    except Exception as error:  # the other checks and the ratios are worth seeing
        return f"{type(error).__name__}: {error}"


def engine(members: Sequence[Member], device: str) -> float:
    """Seconds of a stack to its last report, which waits for the device; its construction is left out."""
    stack = Stack(members, device=device)
    start = time.perf_counter()
    for _ in stack.train():
        pass
    return time.perf_counter() - start


def epoch_of_engine(work: Work, device: str) -> float:
    """Seconds of one epoch of one job."""
    return engine([work.member()], device) / work.epochs


def epoch_of_textbook(work: Work, device: str, epochs: int) -> float:
    """The same of the loop that everybody writes, its rows on the device: zero_grad, backward, step, item."""
    arrays = work.member().arrays
    assert isinstance(arrays, MemberArrays)
    x, y = torch.from_numpy(arrays.x_train).float().to(device), torch.from_numpy(arrays.y_train).to(device)
    layers: list[torch.nn.Module] = []
    for into, out in zip(work.layers, work.layers[1:], strict=False):
        layers += [torch.nn.Linear(into, out), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1]).to(device)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[work.optimizer]
    optimizer = kind(net.parameters(), lr=0.01)
    start = time.perf_counter()
    for _ in range(epochs):
        for inputs, labels in _batches(x, y, work.batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(inputs), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            loss.item()
    return (time.perf_counter() - start) / epochs


def _batches(x: torch.Tensor, y: torch.Tensor, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    if size >= len(x):
        return [(x, y)]
    return [(x[rows], y[rows]) for rows in torch.split(torch.randperm(len(x), device=x.device), size)]


def beside(name: str, ours: Callable[[], float], other: Callable[[], float], *, repeats: int, goal: float = 0.0) -> bool:
    """Print other / ours, medians of interleaved repeats after one that warms up; without repeats, that they run.

    False where they do not.
    """
    try:
        pairs = [(ours(), other()) for _ in range(1 + repeats)][1:]
    except Exception as error:  # as above
        print(f"{name}: FAILED, {type(error).__name__}: {error}", flush=True)
        return False
    if not pairs:
        print(f"{name}: runs")
        return True
    mine, theirs = (float(np.median(side)) for side in zip(*pairs, strict=True))
    found = sorted(theirs / mine for mine, theirs in pairs)
    ratio = float(np.median(found))
    verdict = f", goal >= {goal:.2f}: {'met' if ratio >= goal else 'MISSED'}" if goal else ""
    print(
        f"{name}: {theirs * 1e6:.0f} / {mine * 1e6:.0f} µs, ratio {ratio:.2f} ({found[0]:.2f} to {found[-1]:.2f}){verdict}",
        flush=True,
    )
    return True


def ratios(device: str, *, quick: bool) -> int:
    """Print what is quick and what is not; answers how many ratios could not be had."""
    repeats, shorter = (0, 100) if quick else (3, 1)
    ran: list[bool] = []
    for work, epochs in ((IRIS, 1000), (DIGITS, 10)):
        ours = partial(epoch_of_engine, replace(work, epochs=work.epochs // shorter), device)
        other = partial(epoch_of_textbook, work, device, max(1, epochs // shorter))
        ran.append(beside(f"{work.name} | textbook loop / engine, an epoch", ours, other, repeats=repeats, goal=10))
    for work, goal in ((DIGITS, 1 / 3), (IRIS, 0.0)):
        many = [replace(work, epochs=min(work.epochs, 1000) // shorter).member(seed) for seed in range(256 // shorter)]
        one, together = partial(engine, many[:1], device), partial(engine, many, device)
        ran.append(beside(f"{work.name} | one member / 256 members", together, one, repeats=repeats, goal=goal))
    large = replace(LARGE, rows=512, batch_size=128, layers=(64, 128, 10), epochs=2) if quick else LARGE
    exact, rounded = ([replace(large, precision=precision).member()] for precision in ("fp32", "bf16"))
    sides = partial(engine, rounded, device), partial(engine, exact, device)
    ran.append(beside(f"{LARGE.name} | fp32 / bf16", *sides, repeats=repeats))
    return ran.count(False)


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="the checks, and that what is measured runs")
    options = parser.parse_args()
    device: str = options.device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; --device cpu --quick shows that the program runs.")
    use_whole_float32()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__} on {torch.cuda.get_device_name() if device == 'cuda' else 'the CPU'}", flush=True)
    failed, missing = checks(device), ratios(device, quick=options.quick)
    if failed or missing:
        sys.exit(f"{failed} checks failed, {missing} ratios could not be had.")


if __name__ == "__main__":
    main()
