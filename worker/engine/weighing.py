"""Weighted sums over rows, for many epochs of one or more members at once."""

from torch import Tensor


def over_rows(cells: Tensor, w: Tensor) -> Tensor:
    """[..., *M]: the sums over the rows n of cells [..., *M, n], which weigh w [..., n]; what stands before is the same."""
    sums = cells.flatten(w.dim() - 1, -2) @ w[..., None]
    return sums.view(cells.shape[:-1])
