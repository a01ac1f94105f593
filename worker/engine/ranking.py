"""The area under the ROC curve, for many epochs and labels at once."""

import torch
from torch import Tensor


def areas(p: Tensor, truth: Tensor, w: Tensor) -> Tensor:
    """[..., E, C]: the weighted share of (positive, negative) pairs that p [..., E, n, C] ranks rightly, ties half.

    truth: [..., n, C] of 0 and 1, float64. w: [..., n]. NaN where a label has not both.
    """
    ranked, order = p.transpose(-1, -2).contiguous().sort(-1)  # [..., E, C, n]
    positive = truth.transpose(-1, -2).unsqueeze(-3).expand_as(order).gather(-1, order)
    weights = w[..., None, None, :].expand_as(order).gather(-1, order)
    below = torch.nn.functional.pad(((1 - positive) * weights).cumsum(-1), (1, 0))
    first = torch.searchsorted(ranked, ranked)
    behind = torch.searchsorted(ranked, ranked, right=True)
    wins = (positive * weights * (below.gather(-1, first) + below.gather(-1, behind)) / 2).sum(-1)
    pairs = ((truth * w[..., None]).sum(-2) * ((1 - truth) * w[..., None]).sum(-2)).unsqueeze(-2)
    return torch.where(pairs > 0, wins / pairs, torch.nan)
