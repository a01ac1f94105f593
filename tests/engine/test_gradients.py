"""The backward pass by hand agrees with autograd, alone and in a stack."""

from typing import Any

import pytest
import torch

from tests.engine.plain import member_of, spec_of
from worker.engine import losses
from worker.engine.activations import ACTIVATIONS
from worker.engine.batches import Batches
from worker.engine.gradients import ByAutograd, ByHand
from worker.engine.layout import Layout

LOSSES: list[dict[str, Any]] = [
    {"name": "cross_entropy", "label_smoothing": 0.2},
    {"name": "bce"},
    {"name": "mse"},
    {"name": "l1"},
    {"name": "huber", "delta": 0.7},
    {"name": "quantile", "q": 0.3},
    {"name": "poisson"},
]


def gradients_of(members: int, *, drop: bool, **fields: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """[K, P] by hand and by autograd at the same random parameters, for the second, smaller batch of an epoch."""
    generator = torch.Generator().manual_seed(0)
    stack = [member_of(spec_of(batch_size=13, **fields), seed=seed, weighted=seed == 1) for seed in range(members)]
    layout, like = Layout(stack[0].spec), torch.empty(0, dtype=torch.float64)
    parameters = torch.randn(members, layout.total, generator=generator, dtype=torch.float64)
    widths = stack[0].spec.network.hidden_layers
    masks = [torch.randint(0, 2, (members, width, 10), generator=generator) * 2.0 if drop else None for width in widths]
    found = []
    for by_hand in (True, False):
        loss = losses.of(stack, dtype=torch.float64, device=torch.device("cpu"))
        squeezed = by_hand and members == 1
        if squeezed:
            loss.squeeze()
        batches = Batches(stack, loss, like=like, epochs=1, window=2, squeezed=squeezed, cuts=False)
        batches.begin(1)
        batches.fill(0, 0)
        flat = parameters[0] if squeezed else parameters
        activation = stack[0].spec.network.activation
        engine: ByHand | ByAutograd = (
            ByHand(layout, loss, activation=activation, like=flat.clone(), dropping=[drop] * len(widths))
            if by_hand
            else ByAutograd(layout, loss, activation=activation, normalization="none", like=flat.clone())
        )
        views = [mask[0] if squeezed and mask is not None else mask for mask in masks]
        with torch.no_grad():
            for call in engine.prepare(layout.views(flat), batches.batch(0, 1), views):
                call()
        found.append(engine.flat.view(members, -1).clone())
    return found[0], found[1]


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_activation(activation: str, drop: bool, members: int) -> None:
    hand, autograd = gradients_of(members, drop=drop, network={"activation": activation})
    torch.testing.assert_close(hand, autograd, rtol=1e-10, atol=1e-14)
    assert (hand != 0).any()


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["name"])
def test_every_loss(loss: dict[str, Any], members: int) -> None:
    hand, autograd = gradients_of(members, drop=False, loss=loss, network={"activation": "silu"})
    torch.testing.assert_close(hand, autograd, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("loss", LOSSES[1:], ids=lambda loss: loss["name"])
def test_every_loss_of_several_columns(loss: dict[str, Any], members: int) -> None:
    hand, autograd = gradients_of(members, drop=False, loss=loss, target=["a", "b", "c"])
    torch.testing.assert_close(hand, autograd, rtol=1e-10, atol=1e-14)
    assert (hand != 0).any()


@pytest.mark.parametrize("tables", [[], [(3, 2), (8, 5)]], ids=["no tables", "two tables"])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("hidden", [(), (1,), (4, 3, 2)])
def test_every_depth(hidden: tuple[int, ...], members: int, tables: list[tuple[int, int]]) -> None:
    hand, autograd = gradients_of(members, drop=False, hidden=hidden, tables=tables)
    torch.testing.assert_close(hand, autograd, rtol=1e-10, atol=1e-14)
