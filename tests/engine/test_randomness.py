"""Everything random is a function of the seed and of where it is used."""

from itertools import pairwise

import numpy as np
import torch

from tests.engine.plain import spec_of
from worker.engine.dropout import Dropout, draw
from worker.engine.initial import initial_weights
from worker.engine.randomness import Use, dropout_mask, epoch_order, seeded


def test_an_order_is_a_permutation_of_its_own_seed_and_epoch() -> None:
    orders = [epoch_order(seed, epoch, 50) for seed in (0, 1, 2**62) for epoch in (1, 2)]
    assert all(sorted(order.tolist()) == list(range(50)) for order in orders)
    assert all(not torch.equal(a, b) for a, b in pairwise(orders))
    assert torch.equal(orders[0], epoch_order(0, 1, 50))


def test_a_mask_keeps_the_share_that_the_rate_says() -> None:
    for rate in (0.1, 0.5, 0.9):
        kept = dropout_mask(seeded(7, Use.DROPOUT, 1), rate, (400, 1001))
        assert abs(kept.double().mean().item() - (1 - rate)) < 3e-3
        assert abs(kept.double().mean(1).std().item() - np.sqrt(rate * (1 - rate) / 1001)) < 2e-3


def test_masks_differ_by_epoch_layer_and_block() -> None:
    spec = spec_of(network={"dropout": 0.5}, hidden=(6, 6))
    places = [(1, 0, 0), (2, 0, 0), (2, 1, 0), (2, 1, 1)]
    masks = [draw(spec, 0.5, batches=2, rows=23, epoch=epoch, layer=layer, block=block) for epoch, layer, block in places]
    assert all(not torch.equal(a, b) for a, b in pairwise(masks))


def test_the_first_masks_of_a_block_are_the_same_however_many_are_drawn() -> None:
    spec = spec_of(network={"dropout": 0.5}, hidden=(6, 6))
    one, many = (draw(spec, 0.5, batches=count, rows=23, epoch=1, layer=0, block=0) for count in (1, 400))
    assert torch.equal(one, many[:1])


def test_first_weights_stay_within_torchs_default_bounds() -> None:
    weights = initial_weights(spec_of(inputs=16, hidden=(64,)))
    for name in ("0.weight", "0.bias"):
        assert 0.2 < np.abs(weights[name]).max() <= 0.25
    other = initial_weights(spec_of(inputs=16, hidden=(64,), seed=43))
    assert not np.array_equal(weights["0.weight"], other["0.weight"])


def test_networks_with_one_seed_have_the_same_masks_and_others_their_own() -> None:
    specs = [spec_of(network={"dropout": 0.5}, hidden=(6, 6), seed=seed) for seed in (1, 1, 2)]
    like = torch.empty(0, dtype=torch.float64)
    some, alike = (Dropout(each, like, steps=3, rows=23, squeezed=False) for each in (specs, specs[:2]))
    for dropout in (some, alike):
        dropout.prepare(1, 0)

    for masks, shared in zip(some.masks(2, 23), alike.masks(2, 23), strict=True):
        assert masks is not None
        assert shared is not None
        assert torch.equal(masks[:1], shared)
        assert torch.equal(masks[0], masks[1])
        assert not torch.equal(masks[0], masks[2])
