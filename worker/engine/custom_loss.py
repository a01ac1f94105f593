"""One job's custom loss: a module of the operator's, called so that its faults end its own job and nothing else."""

from collections.abc import Callable
from copy import copy

import torch
from torch import Tensor, nn


class LossFailed(Exception):
    """Raised when a custom loss cannot be used; the text names it and is for the job's owner."""


class CustomLoss:
    """`module(outputs, target)` gives one loss a row, which depends on that row alone.

    outputs: [n, O], what the network's last layer gives: a logit for each class, or for regression the number in trained units.
    target: [n], class indices (int64), or numbers in trained units (of the type of outputs). After its first failure
    the module is not called again: its rows weigh nothing, and `failure`, which `tell` hears of, says why.
    """

    def __init__(self, name: str, module: object, *, tell: Callable[[LossFailed], None] = lambda failure: None) -> None:
        self.name, self._tell = name, tell
        self.failure: LossFailed | None = None
        if not isinstance(module, nn.Module):
            raise LossFailed(f"The loss {name} is no torch.nn.Module.")
        trained = [parameter for parameter, _ in module.named_parameters()]
        if trained:
            raise LossFailed(f"The loss {name} has parameters ({', '.join(trained)}); a loss is not trained, use buffers.")
        self._module = module

    def rows(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """[n]: the losses times weights [n]; where gradients are on, differentiable in `outputs`."""
        if self.failure is None:
            try:
                return self._rows(outputs, target, weights)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:
                reason = str(error) if isinstance(error, LossFailed) else f"{type(error).__name__}: {error}"
                self.failure = LossFailed(f"The loss {self.name} failed: {reason}")
                self.failure.__cause__ = error
                self._tell(self.failure)
        return outputs.sum(-1) * 0

    def silent(self) -> "CustomLoss":
        """One whose module is never called."""
        silenced = copy(self)
        silenced.failure = LossFailed(f"The loss {self.name} has no member here.")
        return silenced

    def _rows(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """The module's own backward pass runs at once, so that its errors are met here too; only the slope is handed on."""
        if not (torch.is_grad_enabled() and outputs.requires_grad):
            return self._losses(outputs.clone(), target) * weights
        leaf = outputs.detach().clone().requires_grad_()
        losses = self._losses(leaf, target)
        if not losses.requires_grad:
            raise LossFailed("its result has no gradient.")
        [slope] = torch.autograd.grad(losses, leaf, weights)
        return losses.detach() * weights + ((outputs - outputs.detach()) * slope).sum(-1)

    def _losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        self._module.to(outputs)
        losses = self._module(outputs, target)
        if not isinstance(losses, Tensor):
            raise LossFailed(f"it returned a {type(losses).__name__} in place of a tensor.")
        if losses.shape != target.shape or not losses.is_floating_point():
            found, rows = list(losses.shape), len(target)
            raise LossFailed(f"it returned {losses.dtype} of shape {found} for {rows} rows, not one floating loss a row.")
        return losses.to(outputs.dtype)
