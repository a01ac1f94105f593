"""Adam and AdamW in one pass over the parameters, as torch's fused optimizers go on a CPU.

As operations on [K, P] an update reads and writes the parameters' worth of memory some thirty times, and costs a small network
ten calls. Here it is a call for each run of parameters that are trained alike. The networks are those of one job, alike in all
hyperparameters, so the coefficients are plain numbers.
"""

from collections.abc import Sequence
from functools import partial
from math import sqrt

import torch
from torch import Tensor

from app.domain.front import is_in_one_pass
from worker.engine.data import Member
from worker.engine.groups import Scales
from worker.engine.optimizer import Floats, Optimizer

_PASSES = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}


def fits(jobs: Sequence[Member], device: torch.device) -> bool:
    """True where a stack's jobs are one that pays; of several threads each would be waited for at every call, however small."""
    return len(jobs) == 1 and is_in_one_pass(jobs[0].spec) and device.type == "cpu" and torch.get_num_threads() == 1


class Fused(Optimizer):
    """torch.optim.Adam, or AdamW; the coefficients are γ, the step, and the share of the decay."""

    moments = ("mean", "square")
    on_host = True

    def prepare(self) -> None:
        """A run goes by the factors of its first parameter; the few that have others are done once more."""
        beta1, beta2 = (float(beta[0]) for beta in self.betas())
        self._decay, self._eps = (float(self.values(name)[0]) for name in ("weight_decay", "eps"))
        step, networks = torch.zeros(()), self._like[..., 0].numel()
        fixed = {"max_exp_avg_sqs": [], "state_steps": [step] * networks, "amsgrad": False, "maximize": False}
        self._pass = partial(_PASSES[self._whole[0].optimizer.name], beta1=beta1, beta2=beta2, **fixed)
        self._count = step.fill_
        self._runs = self._scales.runs() if self._scales else [(slice(0, self._like.shape[-1]), (1.0, 1.0, 1.0))]
        self._strays = _Strays(self._scales, (beta1, beta2), self._like) if self._scales else None
        self._views: dict[int, list[list[list[Tensor]]]] = {}

    def table(self, step: Floats, rate: Floats) -> list[Floats]:
        """As above."""
        return [rate, step, self.shares(step)]

    def update(self, p: Tensor, g: Tensor, out: Tensor, c: Sequence[float]) -> None:
        """In `out`, where the parameters come first."""
        rate, step, share = c
        if p is not out:
            out.copy_(p)
        before = self._strays.of(out) if self._strays else None
        self._count(step)
        for views, (_, (of_rate, of_decay, unit)) in zip(self._seen(out, g), self._runs, strict=True):
            # A decay goes with its parameter's rate, not with its unit; the pass multiplies it by both.
            decay = self._decay * share * of_decay / unit
            self._pass(*views, lr=rate * of_rate * unit, weight_decay=decay, eps=self._eps / unit)
        if self._strays and before is not None:
            self._strays.redo(before, out, self.state, rate=rate, step=step, decay=self._decay * share, eps=self._eps)

    def _seen(self, out: Tensor, g: Tensor) -> list[list[list[Tensor]]]:
        """Of each run, parameters, gradients and moments, each a list of the networks'."""
        if (place := out.data_ptr()) not in self._views:
            whole = [flat.view(-1, flat.shape[-1]) for flat in (out, g, *self.state.values())]
            self._views[place] = [[[row[run] for row in flat] for flat in whole] for run, _ in self._runs]
        return self._views[place]


class _Strays:
    """Parameters whose factors are not those of their run, as biases are among weights: AdamW's step from the same moments."""

    def __init__(self, scales: Scales, betas: tuple[float, float], like: Tensor) -> None:
        self._betas = betas
        self._places = places = scales.strays()
        rate, decay, unit = (factors[0, places].to(like) for factors in (scales.rate, scales.decay, scales.unit))
        self._rate, self._decay, self._per_unit = rate * unit, rate * decay, 1 / unit

    def of(self, flat: Tensor) -> Tensor:
        """[K, n] or [n]."""
        return flat.index_select(-1, self._places)

    def redo(
        self, p: Tensor, out: Tensor, moments: dict[str, Tensor], *, rate: float, step: float, decay: float, eps: float
    ) -> None:
        """Put into `out` what comes after p."""
        beta1, beta2 = self._betas
        mean, square = (self.of(moment) for moment in moments.values())
        # As a tensor's a number too large for it is infinite, and not an error.
        pace, lost, small = p.new_tensor((-rate / (1 - beta1**step), -rate * decay, eps)).unbind()
        below = square.sqrt_().div_(sqrt(1 - beta2**step)).addcmul_(self._per_unit, small)
        p.addcmul_(p, self._decay * lost).addcdiv_(mean.mul_(self._rate).mul_(pace), below)
        out.index_copy_(-1, self._places, p)
