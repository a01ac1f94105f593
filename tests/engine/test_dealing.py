"""Batches of an ensemble with folds are dealt evenly, so that each network can pass over the rows of its own fold."""

import numpy as np
import pytest
import torch

from worker.engine.dealing import Deal
from worker.engine.randomness import epoch_order


def folds_of(rows: int, k: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    folds = np.empty(rows, dtype=np.int64)
    folds[np.random.default_rng(rows).permutation(rows)] = np.arange(rows) % k
    return folds


@pytest.mark.parametrize("k", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [3, 7, 8, 16, 40])
def test_each_network_takes_every_row_of_the_other_folds_once_and_of_its_own_at_most_one_a_batch(k: int, size: int) -> None:
    rows = 40
    folds, order = folds_of(rows, k), epoch_order(1, 1, rows)
    deal = Deal(folds, range(k), size=size)

    whole = deal.arranged(order)
    taken = whole[deal.places(0, rows)]

    assert sorted(whole.tolist()) == list(range(rows))
    assert taken.shape == (k, deal.taken(rows))
    for network in range(k):
        own = [row for row in taken[network].tolist() if folds[row] == network]
        others = [row for row in taken[network].tolist() if folds[row] != network]
        assert sorted(others) == np.flatnonzero(folds != network).tolist()
        assert len(own) <= -(-rows // size)
        assert len(own) == len(set(own))


@pytest.mark.parametrize(("k", "size"), [(2, 7), (3, 8), (4, 8), (5, 3), (8, 40)])
def test_what_a_network_takes_of_a_batch_are_the_pieces_of_its_cut(k: int, size: int) -> None:
    rows = 37
    deal = Deal(folds_of(rows, k), range(k), size=size)
    whole = deal.arranged(epoch_order(2, 5, rows))

    for batch in range(-(-rows // size)):
        start, end = batch * size, min((batch + 1) * size, rows)
        cut, taken = deal.cut(batch), whole[deal.places(start, end)]
        assert taken.shape == (k, deal.taken(end - start))
        for network in range(k):
            found = torch.full((taken.shape[1],), -1)
            for place, own in cut.pieces(network):
                found[own] = whole[start:end][place]
            assert found.tolist() == taken[network].tolist()


def test_batches_of_one_turn_are_cut_alike() -> None:
    deal = Deal(folds_of(60, 4), range(4), size=6)

    assert deal.cut(0) == deal.cut(2)
    assert deal.turn(0) == deal.turn(2)
    assert deal.cut(0) != deal.cut(1)
    assert deal.turn(0) != deal.turn(1)


def test_every_batch_has_about_as_many_rows_of_each_fold_and_another_order_in_each_epoch() -> None:
    folds = folds_of(50, 4)
    deal = Deal(folds, range(4), size=10)
    first, second = (deal.arranged(epoch_order(3, epoch, 50)) for epoch in (1, 2))

    assert first.tolist() != second.tolist()
    for rows in torch.split(first, 10):
        counts = np.bincount(folds[rows.numpy()], minlength=4)
        assert counts.max() - counts.min() <= 1
