"""Everything random, as pure functions of the seed and of where it is used."""

from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 64) - 1


class Use(IntEnum):
    """What numbers are drawn for; keeps the streams of one seed apart."""

    WEIGHTS = 1
    ORDER = 2
    DROPOUT = 3
    BLOCKS = 4
    WINDOW = 5
    MEMBER = 6
    FOLDS = 7


def seeded(seed: int, use: Use, *place: int) -> torch.Generator:
    """A generator for one use of a seed at one place (a layer, an epoch, …)."""
    state = 0
    for word in (seed, use, *place):
        state = _mixed((state ^ word) & _MASK)
    return torch.Generator().manual_seed(state >> 1)


def member_seed(seed: int, index: int) -> int:
    """The seed of a network of an ensemble (counted from 0), for its first weights."""
    return seeded(seed, Use.MEMBER, index).initial_seed()


def epoch_order(seed: int, epoch: int, rows: int) -> Tensor:
    """The order of the training rows in an epoch (counted from 1): int64 [rows]."""
    return torch.randperm(rows, generator=seeded(seed, Use.ORDER, epoch))


def block_order(seed: int, epoch: int, blocks: int) -> Tensor:
    """The order in which an epoch reads the blocks of training rows that are streamed: int64 [blocks]."""
    return torch.randperm(blocks, generator=seeded(seed, Use.BLOCKS, epoch))


def window_order(seed: int, epoch: int, window: int, rows: int) -> Tensor:
    """The order of the rows of the window with a number (from 0) in an epoch: int64 [rows]."""
    return torch.randperm(rows, generator=seeded(seed, Use.WINDOW, epoch, window))


def dropout_mask(generator: torch.Generator, rate: float, shape: tuple[int, ...]) -> Tensor:
    """Booleans, True with probability 1 - rate (to 2^-16); four are cut from each 64 bits, three times as quick.

    They are compared by numpy, eight times as quick as by torch.
    """
    cells = 1
    for width in shape:
        cells *= width
    bits = torch.empty((cells + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    kept = min(65535, round((1 - rate) * 65536)) - 32768
    return torch.from_numpy(bits.numpy().view(np.int16)[:cells] < kept).view(shape)


def _mixed(word: int) -> int:
    """One round of splitmix64 (Steele, Lea, Flood, 2014)."""
    word = (word + 0x9E3779B97F4A7C15) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)
