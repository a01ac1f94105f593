"""The lines that make loss, optimizer and schedule."""

from app.code.rows import is_standardized
from app.code.texts import keywords, literal, wrapped
from app.domain.spec import ResolvedSpec
from app.domain.spec.losses import CrossEntropy, Focal, Huber, Quantile
from app.domain.spec.schedules import OneCycle, Plateau

_LOSSES = {
    "cross_entropy": "CrossEntropyLoss",
    "bce": "BCEWithLogitsLoss",
    "mse": "MSELoss",
    "l1": "L1Loss",
    "huber": "HuberLoss",
    "poisson": "PoissonNLLLoss",
}
_OPTIMIZERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
}
_SCHEDULES = {
    "step": "StepLR",
    "exponential": "ExponentialLR",
    "cosine": "CosineAnnealingLR",
    "one_cycle": "OneCycleLR",
    "plateau": "ReduceLROnPlateau",
}


def is_weighted(spec: ResolvedSpec) -> bool:
    """True where rows weigh differently."""
    return spec.sample_weight is not None or spec.class_weights is not None


def criterion(spec: ResolvedSpec, *, weightless_rows: bool) -> list[str]:
    """`criterion(z, y)`: the mean loss; with weights the loss of each row, and `loss_of(x, y, w)` their weighted mean.

    `weightless_rows`: a batch may have no weight at all; its loss is 0.
    """
    weighted = is_weighted(spec)
    lines = _written(spec, weighted=weighted)
    if lines and weighted:
        lines += ["", ""]
    if not lines:
        reduction = {"reduction": "none"} if weighted else {}
        lines = [f"criterion = nn.{_LOSSES[spec.loss.name]}({', '.join([*_options(spec), *keywords(reduction)])})"]
        lines += ["", ""] if weighted else []
    if not weighted:
        return lines
    total = "w.sum().clamp(min=torch.finfo(w.dtype).tiny)" if weightless_rows else "w.sum()"
    return [
        *lines,
        "def loss_of(x, y, w):",
        '    """The weighted mean."""',
        f"    return (criterion(net(x), y) * w).sum() / {total}",
    ]


def _options(spec: ResolvedSpec) -> list[str]:
    match spec.loss:
        case CrossEntropy(label_smoothing=smoothing) if smoothing:
            return keywords({"label_smoothing": smoothing})
        case Huber(delta=delta):
            return [f"delta={literal(delta)}{' / scale' if is_standardized(spec) else ''}"]
    return []


def _written(spec: ResolvedSpec, *, weighted: bool) -> list[str]:
    """A loss that torch has no class for."""
    mean = "" if weighted else ".mean()"
    match spec.loss:
        case Quantile(q=q):
            value = f"torch.maximum({literal(q)} * (y - z), ({literal(q)} - 1) * (y - z))"
            return [
                "def criterion(z, y):",
                f'    """The pinball loss of quantile {literal(q)}."""',
                f"    return {value}{mean}",
            ]
        case Focal(gamma=gamma):
            kept = ".clamp(min=torch.finfo(z.dtype).tiny)" if gamma < 1 else ""
            return [
                "def criterion(z, y):",
                '    """Cross-entropy -log p, times (1 - p) ** gamma (Lin et al., 2017)."""',
                '    log_p = -nn.functional.cross_entropy(z, y, reduction="none")',
                f"    missing = (-torch.expm1(log_p)){kept}  # 1 - p",
                f"    return (missing**{literal(gamma)} * -log_p){mean}",
            ]
    return []


def units(spec: ResolvedSpec) -> str:
    """What turns a trained loss into the target's units."""
    if not is_standardized(spec):
        return ""
    return " * scale**2" if spec.loss.name in ("mse", "huber") else " * scale"


def optimizer(spec: ResolvedSpec) -> list[str]:
    """`optimizer`, with what differs from torch's defaults."""
    block = spec.optimizer
    fields = {"lr": block.learning_rate}
    fields |= {
        name: getattr(block, name)
        for name, field in type(block).model_fields.items()
        if name not in ("name", "learning_rate") and getattr(block, name) != field.default
    }
    return wrapped(f"optimizer = torch.optim.{_OPTIMIZERS[block.name]}(", ["net.parameters()", *keywords(fields)], ")")


def schedule(spec: ResolvedSpec) -> list[str]:
    """`scheduler` before the first epoch; none where the rate is constant, or where `warming` makes it."""
    warmup = spec.lr_schedule.warmup_epochs
    if not warmup:
        return _scheduler(spec)
    linear = f"LinearLR(optimizer, start_factor={literal(1 / (warmup + 1))}, total_iters={warmup})"
    if spec.lr_schedule.name == "constant":
        return [f"scheduler = torch.optim.lr_scheduler.{linear}"]
    if makes_later(spec):
        return []
    return [
        f"warmup = torch.optim.lr_scheduler.{linear}",
        *_scheduler(spec),
        f"scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, scheduler], milestones=[{warmup}])",
    ]


def makes_later(spec: ResolvedSpec) -> bool:
    """True where torch's SequentialLR cannot put a warm-up before the schedule."""
    return spec.lr_schedule.warmup_epochs > 0 and isinstance(spec.lr_schedule, OneCycle | Plateau)


def warming(spec: ResolvedSpec) -> list[str]:
    """At the start of an epoch: a warm-up that no scheduler does, and the schedule behind it."""
    if not makes_later(spec):
        return []
    after, rate = spec.lr_schedule.warmup_epochs + 1, spec.optimizer.learning_rate
    return [
        f"if epoch <= {after}:  # warm-up",
        f'    optimizer.param_groups[0]["lr"] = {literal(rate)} * epoch / {after}',
        f"if epoch == {after}:",
        *(f"    {line}" for line in _scheduler(spec)),
    ]


def _scheduler(spec: ResolvedSpec) -> list[str]:
    block = spec.lr_schedule
    if block.name == "constant":
        return []
    left = max(1, spec.epochs - block.warmup_epochs)
    fields = block.model_dump(exclude={"name", "warmup_epochs"})
    if block.name == "cosine":
        fields = {"T_max": left, **fields}
    if block.name == "one_cycle":
        steps = -(-spec.train_rows // spec.batch_size)
        fields = {"max_lr": spec.optimizer.learning_rate, "total_steps": left * steps, "cycle_momentum": False, **fields}
    name = _SCHEDULES[block.name]
    return wrapped(f"scheduler = torch.optim.lr_scheduler.{name}(", ["optimizer", *keywords(fields)], ")")
