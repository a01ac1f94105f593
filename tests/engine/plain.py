"""The textbook loop that the engine is compared with: plain modules, torch.optim, torch's schedulers, one job."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.domain.spec import ResolvedSpec
from app.domain.spec.losses import CrossEntropy, Focal, Huber, Quantile
from tests.engine.explicit import explicit, groups_of, is_explicit
from worker.engine.data import Floats, Member, MemberArrays
from worker.engine.dropout import epoch_masks
from worker.engine.initial import initial_weights
from worker.engine.network import dropout_rates, sequential
from worker.engine.randomness import block_order, epoch_order, window_order

BY_STEP = ("one_cycle", "log_cosine")
DEFAULTS: dict[str, Any] = {
    "dataset": "ds_1",
    "target": "y",
    "features": ["a", "b", "c"],
    "task": "multiclass",
    "classes": [0, 1, 2],
    "test_rows": 0,
    "parameters": 0,
    "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "epochs": 12,
}


def spec_of(*, rows: int = 23, val: int = 7, hidden: tuple[int, ...] = (5, 4), inputs: int = 3, **fields: Any) -> ResolvedSpec:
    """A resolved spec; `loss` decides task and outputs where they are not given.

    `target` may be a list of columns; `tables`: levels and widths of embeddings; `featured`: how many columns have
    numeric features.
    """
    loss = fields.setdefault("loss", {"name": "cross_entropy"})["name"]
    fields["embeddings"] = [
        {"column": f"c{i}", "levels": levels, "width": width} for i, (levels, width) in enumerate(fields.pop("tables", []))
    ]
    inputs += sum(table["width"] for table in fields["embeddings"])
    fields["numeric_feature_columns"] = [f"x{i}" for i in range(fields.pop("featured", 0))]
    kind = fields.get("network", {}).get("numeric_features") or {}
    inputs += len(fields["numeric_feature_columns"]) * kind.get("bins", kind.get("frequencies", 0))
    outputs = fields.pop("outputs", 3 if loss in ("cross_entropy", "focal") else 1)
    several = fields["target"] if isinstance(fields.get("target"), list) else None
    if several:
        outputs, labels = len(several), loss in ("bce", "focal")
        fields |= {"task": "multilabel" if labels else "regression", "classes": several if labels else None}
    elif loss == "bce" or (loss == "focal" and outputs == 1):
        fields |= {"task": "binary", "classes": [0, 1]}
    elif loss not in ("cross_entropy", "focal"):
        fields |= {"task": "regression", "classes": None}
    network = {"activation": "tanh"} | fields.pop("network", {}) | {"hidden_layers": list(hidden)}
    sizes = {"train_rows": rows, "validation_rows": val, "layers": [inputs, *hidden, outputs]}
    fields["batch_size"] = min(fields.get("batch_size", rows), rows)
    return ResolvedSpec.model_validate(DEFAULTS | sizes | {"network": network} | fields)


def member_of(spec: ResolvedSpec, *, seed: int = 0, weighted: bool = False, scale: float | list[float] = 1.0) -> Member:
    """Random rows that fit a spec."""
    rng = np.random.default_rng(seed)
    n, v, t = spec.train_rows, spec.validation_rows, spec.test_rows
    x = rng.normal(size=(n + v + t, spec.layers[0] - sum(table.width for table in spec.embeddings)))
    shape = (n + v + t, spec.layers[-1]) if isinstance(spec.target, list) else (n + v + t,)
    y: Any = (rng.normal(size=shape).T + x[:, :1].sum(1)).T
    if spec.classes is not None:
        y = rng.integers(0, 2 if len(shape) > 1 else len(spec.classes), shape)
    elif spec.loss.name == "poisson":
        y = rng.poisson(2.0, shape).astype(float)
    x = np.column_stack([x, *(rng.integers(0, table.levels + 1, len(x)) for table in spec.embeddings)])
    w = rng.uniform(0.2, 2.0, n + v + t) if weighted else None
    parts = {"train": slice(0, n), "val": slice(n, n + v), "test": slice(n + v, n + v + t)}
    arrays: dict[str, Any] = {}
    for name, part in parts.items():
        empty = part.stop == part.start
        arrays |= {f"x_{name}": None if empty else x[part], f"y_{name}": None if empty else y[part]}
        arrays[f"w_{name}"] = None if empty or w is None else w[part]
    target_scale, target_center = np.array(scale) if isinstance(scale, list) else scale, 1.5 if scale != 1 else 0.0
    return Member(spec=spec, arrays=MemberArrays(**arrays, target_scale=target_scale, target_center=target_center))


def losses_of(spec: ResolvedSpec, z: Tensor, y: Tensor, scale: float | Floats) -> Tensor:
    """[n], or [n, O] of several columns, by torch's own functions, in trained units."""
    if y.dim() == 2:
        scales = np.broadcast_to(scale, y.shape[1:]).tolist()
        return torch.stack([losses_of(spec, z[:, [o]], y[:, o], scales[o]) for o in range(y.shape[1])], 1)
    match spec.loss:
        case CrossEntropy(label_smoothing=smoothing):
            return functional.cross_entropy(z, y, reduction="none", label_smoothing=smoothing)
        case Focal(gamma=gamma) if z.shape[1] > 1:
            p = z.softmax(1)[torch.arange(len(y)), y]
            return (1 - p) ** gamma * -p.log()
        case Focal(gamma=gamma):
            p = torch.where(y == 1, z[:, 0].sigmoid(), 1 - z[:, 0].sigmoid())
            return (1 - p) ** gamma * -p.log()
        case Huber(delta=delta):
            return functional.huber_loss(z[:, 0], y, reduction="none", delta=float(delta / scale))
        case Quantile(q=q):
            return torch.maximum(q * (y - z[:, 0]), (q - 1) * (y - z[:, 0]))
    plain: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "bce": lambda z, y: functional.binary_cross_entropy_with_logits(z, y.to(z.dtype), reduction="none"),
        "mse": lambda z, y: functional.mse_loss(z, y, reduction="none"),
        "l1": lambda z, y: functional.l1_loss(z, y, reduction="none"),
        "poisson": lambda z, y: functional.poisson_nll_loss(z, y, reduction="none"),
    }
    return plain[spec.loss.name](z[:, 0], y)


def mean_of(losses: Tensor) -> Tensor:
    """[n]: the mean over the outputs where there are several columns."""
    return losses.mean(1) if losses.dim() == 2 else losses


def optimizer_of(spec: ResolvedSpec, net: nn.Module) -> torch.optim.Optimizer:
    """torch.optim's class with the spec's fields."""
    fields = spec.optimizer.model_dump()
    names = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "nadam": "NAdam", "radam": "RAdam"}
    kind = getattr(torch.optim, names.get(fields["name"], {"rmsprop": "RMSprop", "adagrad": "Adagrad"}.get(fields["name"], "")))
    kept = {key: value for key, value in fields.items() if key not in ("name", "learning_rate")}
    optimizer: torch.optim.Optimizer = kind(groups_of(spec, net), lr=fields["learning_rate"], **kept)
    return optimizer


def step(optimizer: torch.optim.Optimizer) -> None:
    """One step, each group at its factor of the rate that the schedule says."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] *= group["factor"]
    optimizer.step()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def scheduler_of(spec: ResolvedSpec, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """torch's scheduler behind its warm-up; SequentialLR can hold neither plateau nor one_cycle."""
    fields = spec.lr_schedule.model_dump(exclude={"name", "warmup_epochs"})
    warmup, rest = spec.lr_schedule.warmup_epochs, spec.epochs - spec.lr_schedule.warmup_epochs
    made: Any = {
        "constant": lambda: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
        "step": lambda: torch.optim.lr_scheduler.StepLR(optimizer, **fields),
        "exponential": lambda: torch.optim.lr_scheduler.ExponentialLR(optimizer, **fields),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=rest, **fields),
        "log_cosine": lambda: torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: log_cosine(step / (rest * steps), fields["cycles"])
        ),
        "plateau": lambda: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **fields),
        "one_cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=spec.optimizer.learning_rate, total_steps=rest * steps, cycle_momentum=False, **fields
        ),
    }
    if not warmup or comes_late(spec):
        return made[spec.lr_schedule.name]()
    linear = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [linear, made[spec.lr_schedule.name]()], milestones=[warmup])


def comes_late(spec: ResolvedSpec) -> bool:
    """True where the warm-up is set by hand and the scheduler made at its end."""
    return spec.lr_schedule.warmup_epochs > 0 and spec.lr_schedule.name in ("plateau", *BY_STEP)


def log_cosine(t: float, cycles: int) -> float:
    """The share of the learning rate."""
    return (1 - math.cos(2 * math.pi * math.log2(1 + (2**cycles - 1) * t))) / 2


def flat_cosine(t: float) -> float:
    """The share of weight decay and dropout."""
    return 1.0 if t < 0.5 else (1 + math.cos(math.pi * (2 * t - 1))) / 2


@dataclass
class Plain:
    """What the textbook loop found."""

    train: list[float]
    val: list[float]
    rates: list[float]
    net: nn.Sequential


class _Masked(nn.Module):
    """nn.Dropout with given masks [rows, width]."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.mask: Tensor | None = None

    def forward(self, a: Tensor) -> Tensor:
        return a * self.mask.T / (1 - self.rate) if self.training and self.mask is not None else a


def order_of(spec: ResolvedSpec, epoch: int) -> Tensor:
    """Which training row comes when; where they are streamed, blocks as drawn, then rows within each window of them."""
    rows = torch.arange(spec.train_rows)
    if spec.window is None:
        return epoch_order(spec.seed, epoch, spec.train_rows)
    blocks = torch.split(rows, spec.window.block_rows)
    read = [blocks[i] for i in block_order(spec.seed, epoch, len(blocks)).tolist()]
    windows = [torch.cat(read[first : first + spec.window.blocks]) for first in range(0, len(read), spec.window.blocks)]
    return torch.cat([rows[window_order(spec.seed, epoch, i, len(rows))] for i, rows in enumerate(windows)])


def batches_of(member: Member, order: Tensor) -> list[Tensor]:
    """Which rows are trained on, batch by batch; of the batches of folds a network takes those that are not of its own."""
    left, size = member.left_out, member.spec.batch_size
    if left is None or size >= len(order):
        return list(torch.split(order, size))
    folds, k = torch.from_numpy(left.folds), int(left.folds.max()) + 1
    dealt = torch.empty_like(order)
    for fold in range(k):
        dealt[fold::k] = order[folds[order] == fold]
    found = []
    for rows in torch.split(dealt, size):
        by_fold = rows[torch.argsort(folds[rows], stable=True)].tolist()
        for row in [row for row in by_fold if left.folds[row] == left.fold][: len(rows) // k]:
            by_fold.remove(row)
        found.append(torch.tensor(by_fold))
    return found


def train_plainly(member: Member, dtype: torch.dtype = torch.float64) -> Plain:
    """One job, as a textbook has it."""
    spec, arrays = member.spec, member.arrays
    assert isinstance(arrays, MemberArrays)
    if is_explicit(spec):
        net = explicit(spec, arrays.x_train).to(dtype)
    else:
        net = sequential(spec).to(dtype)
        net.load_state_dict({name: torch.from_numpy(value) for name, value in initial_weights(spec).items()})
    for index, module in enumerate(net):
        if isinstance(module, nn.Dropout):
            net[index] = _Masked(module.p)
    optimizer = optimizer_of(spec, net)
    steps = -(-spec.train_rows // spec.batch_size)
    late, after = comes_late(spec), spec.lr_schedule.warmup_epochs + 1
    scheduler = None if late else scheduler_of(spec, optimizer, steps)
    x, y, w = _tensors(arrays.x_train, arrays.y_train, arrays.w_train, dtype)
    power = {"mse": 2, "huber": 2, "l1": 1, "quantile": 1}.get(spec.loss.name, 0)
    factor = torch.as_tensor(arrays.target_scale, dtype=torch.float64) ** power
    found = Plain([], [], [], net)
    ordered = spec.model_copy(update={"seed": member.seed_of_batches})
    for epoch in range(1, spec.epochs + 1):
        if late and epoch <= after:
            for group in optimizer.param_groups:
                group["lr"] = spec.optimizer.learning_rate * epoch / after
            scheduler = scheduler_of(spec, optimizer, steps) if epoch == after else None
        found.rates.append(optimizer.param_groups[0]["lr"])
        order = order_of(ordered, epoch) if steps > 1 else torch.arange(len(x))
        batches = batches_of(member, order)
        masks, total = epoch_masks(ordered, epoch, [len(rows) for rows in batches]), 0.0
        for module, rate in zip([m for m in net if isinstance(m, _Masked)], filter(None, dropout_rates(spec)), strict=True):
            module.rate = rate * (flat_cosine((epoch - 1) / spec.epochs) if spec.regularization_schedule != "constant" else 1)
        for batch, rows in enumerate(batches):
            for module, mask in zip(
                [m for m in net if isinstance(m, _Masked)], [m for m in masks[batch] if m is not None], strict=True
            ):
                module.mask = mask
            net.train()
            if spec.regularization_schedule != "constant":
                share = flat_cosine(((epoch - 1) * steps + batch) / (spec.epochs * steps))
                for group in optimizer.param_groups:
                    group["weight_decay"] = group.setdefault("whole_decay", group["weight_decay"]) * share
            optimizer.zero_grad()
            losses = losses_of(spec, net(x[rows]), y[rows], arrays.target_scale)
            torch.autograd.backward((mean_of(losses) * w[rows]).sum() / w[rows].sum())
            if spec.gradient_clip_norm:
                torch.nn.utils.clip_grad_norm_(net.parameters(), spec.gradient_clip_norm)
            step(optimizer)
            total += (mean_of(losses.detach() * factor) * w[rows]).sum().item()
            if spec.lr_schedule.name in BY_STEP and scheduler:
                scheduler.step()
        found.train.append(total / w.sum().item())
        if arrays.x_val is not None and arrays.y_val is not None:
            net.eval()
            xv, yv, wv = _tensors(arrays.x_val, arrays.y_val, arrays.w_val, dtype)
            with torch.no_grad():
                losses = mean_of(losses_of(spec, net(xv), yv, arrays.target_scale) * factor) * wv
            found.val.append(losses.sum().item() / wv.sum().item())
        if spec.lr_schedule.name == "plateau":
            _ = scheduler and scheduler.step(found.val[-1] if found.val else found.train[-1])
        elif spec.lr_schedule.name not in BY_STEP and scheduler:
            scheduler.step()
    return found


def _tensors(x: Any, y: Any, w: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    targets = torch.from_numpy(y)
    weights = torch.ones(len(y), dtype=dtype) if w is None else torch.from_numpy(w).to(dtype)
    return torch.from_numpy(x).to(dtype), targets.to(dtype) if targets.is_floating_point() else targets, weights
