"""What everybody writes: the textbook torch loop, with and without a DataLoader, and scikit-learn's network."""

import warnings
from time import perf_counter

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from worker.engine.data import Member, MemberArrays


def loop(member: Member, *, loader: bool = False) -> float:
    """Seconds of the loop that everybody writes: zero_grad, backward, step, item; mini-batches sliced or by a DataLoader."""
    spec, size = member.spec, member.spec.batch_size
    assert isinstance(member.arrays, MemberArrays)
    x, y = torch.from_numpy(member.arrays.x_train).float(), torch.from_numpy(member.arrays.y_train)
    layers: list[torch.nn.Module] = []
    for into, out in zip(spec.layers, spec.layers[1:], strict=False):
        layers += [torch.nn.Linear(into, out), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[spec.optimizer.name]
    optimizer = kind(net.parameters(), lr=spec.optimizer.learning_rate)
    batches = DataLoader(TensorDataset(x, y), batch_size=size, shuffle=True) if loader else None
    losses: list[float] = []
    start = perf_counter()
    for _ in range(spec.epochs):
        for inputs, labels in batches or _sliced(x, y, size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(inputs), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            losses.append(loss.item())
    return perf_counter() - start


def _sliced(x: torch.Tensor, y: torch.Tensor, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    if size >= len(x):
        return [(x, y)]
    order = torch.randperm(len(x))
    return [(x[rows], y[rows]) for rows in torch.split(order, size)]


def scikit_learn(member: Member) -> float:
    """Seconds of MLPClassifier.fit for the same network, optimizer, batch size and number of epochs."""
    spec = member.spec
    assert isinstance(member.arrays, MemberArrays)
    network = MLPClassifier(
        spec.network.hidden_layers,
        solver=spec.optimizer.name,
        learning_rate_init=spec.optimizer.learning_rate,
        batch_size=spec.batch_size,
        momentum=0.0,
        alpha=0.0,
        max_iter=spec.epochs,
        n_iter_no_change=spec.epochs + 1,
    )
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(member.arrays.x_train.astype("float32"), member.arrays.y_train)
    return perf_counter() - start
