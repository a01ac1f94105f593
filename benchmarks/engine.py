"""The engine beside the textbook loop, on one thread: medians of interleaved runs, so that a busy machine disturbs both alike.

Prints, for each shape, microseconds per epoch and job of both, and the ratio textbook / engine. The engine validates every
epoch with its metrics, keeps the best one and all losses; of that the textbook loop does `losses.append(loss.item())` alone.
"""

import statistics
from time import perf_counter

import numpy as np
import torch
from torch.nn import functional

from app.domain.spec import ResolvedSpec
from worker.engine.data import Member, MemberArrays
from worker.engine.stack import Stack

ROUNDS = 7


def spec_of(
    hidden: list[int], *, inputs: int, classes: int, rows: int, batch_size: int, epochs: int, seed: int
) -> ResolvedSpec:
    """SGD on cross-entropy, a fifth of the rows kept for validation."""
    return ResolvedSpec.model_validate(
        {
            "dataset": "ds",
            "target": "y",
            "features": ["x"],
            "task": "multiclass",
            "classes": list(range(classes)),
            "train_rows": rows,
            "validation_rows": rows // 4,
            "test_rows": 0,
            "layers": [inputs, *hidden, classes],
            "parameters": 0,
            "network": {"hidden_layers": hidden},
            "loss": {"name": "cross_entropy"},
            "optimizer": {"name": "sgd", "learning_rate": 0.01},
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
        }
    )


def member_of(spec: ResolvedSpec) -> Member:
    """Random rows."""
    rng, n = np.random.default_rng(spec.seed), spec.train_rows + spec.validation_rows
    x, y = rng.normal(size=(n, spec.layers[0])), rng.integers(0, spec.layers[-1], n)
    rows = spec.train_rows
    return Member(spec=spec, arrays=MemberArrays(x_train=x[:rows], y_train=y[:rows], x_val=x[rows:], y_val=y[rows:]))


def textbook(member: Member) -> float:
    """Seconds of the loop that everybody writes."""
    spec, size = member.spec, member.spec.batch_size
    x, y = torch.from_numpy(member.arrays.x_train).float(), torch.from_numpy(member.arrays.y_train)
    layers: list[torch.nn.Module] = []
    for into, out in zip(spec.layers, spec.layers[1:], strict=False):
        layers += [torch.nn.Linear(into, out), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(net.parameters(), lr=spec.optimizer.learning_rate)
    losses: list[float] = []
    start = perf_counter()
    for _ in range(spec.epochs):
        order = torch.randperm(len(x)) if size < len(x) else None
        for first in range(0, len(x), size):
            rows = slice(None) if order is None else order[first : first + size]
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            losses.append(loss.item())
    return perf_counter() - start


def engine(members: list[Member]) -> float:
    """Seconds of a stack, its construction left out."""
    stack = Stack(members)
    start = perf_counter()
    for _ in stack.train():
        pass
    return perf_counter() - start


def compare(name: str, hidden: list[int], *, members: int, epochs: int, **shape: int) -> None:
    """Print one line; the textbook loop trains one job, the stack all of them."""
    stack = [member_of(spec_of(hidden, epochs=epochs, seed=seed, **shape)) for seed in range(members)]
    plain, ours = [], []
    for _ in range(ROUNDS):
        plain.append(textbook(stack[0]) / epochs * 1e6)
        ours.append(engine(stack) / epochs / members * 1e6)
    ratio = statistics.median(a / b for a, b in zip(plain, ours, strict=True))
    print(f"{name:42} textbook {statistics.median(plain):8.1f}   engine {statistics.median(ours):8.1f}   ratio {ratio:5.2f}")


def main() -> None:
    """Microseconds per epoch and job."""
    torch.set_num_threads(1)
    iris = {"inputs": 4, "classes": 3, "rows": 120}
    compare("iris 4-10-3, full batch, K = 1", [10], members=1, epochs=3000, batch_size=120, **iris)
    compare("iris 4-10-3, full batch, K = 64", [10], members=64, epochs=512, batch_size=120, **iris)
    compare("iris 4-10-3, batches of 32, K = 1", [10], members=1, epochs=512, batch_size=32, **iris)
    digits = {"inputs": 64, "classes": 10, "rows": 1437, "batch_size": 64}
    compare("digits 64-64-64-10, batches of 64, K = 1", [64, 64], members=1, epochs=24, **digits)
    wide = {"inputs": 100, "classes": 2, "rows": 5120, "batch_size": 256}
    compare("5120×100-256-128-2, batches of 256, K = 1", [256, 128], members=1, epochs=6, **wide)


if __name__ == "__main__":
    main()
