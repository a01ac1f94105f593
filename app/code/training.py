"""The lines that make optimizer and schedule."""

import math

from app.code.ensembles import counter
from app.code.groups import groups, is_grouped, rate_factors
from app.code.texts import Code, indented, keywords, literal, wrapped
from app.domain.spec import ResolvedSpec
from app.domain.spec.schedules import Cosine, LogCosine, OneCycle, Plateau

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


def optimizer(spec: ResolvedSpec) -> list[str]:
    """`optimizer`, with what differs from torch's defaults."""
    block = spec.optimizer
    fields = {"lr": block.learning_rate}
    fields |= {
        name: getattr(block, name)
        for name, field in type(block).model_fields.items()
        if name not in ("name", "learning_rate") and getattr(block, name) != field.default
    }
    what = "groups" if is_grouped(spec) else "net.parameters()"
    return [*groups(spec), *wrapped(f"optimizer = torch.optim.{_OPTIMIZERS[block.name]}(", [what, *keywords(fields)], ")")]


def has_scheduler(spec: ResolvedSpec) -> bool:
    """True where the rate changes."""
    return spec.lr_schedule.name != "constant" or spec.lr_schedule.warmup_epochs > 0


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
    return spec.lr_schedule.warmup_epochs > 0 and isinstance(spec.lr_schedule, OneCycle | LogCosine | Plateau)


def steps_by_batch(spec: ResolvedSpec) -> bool:
    """True where the scheduler steps after each batch, not after each epoch."""
    return isinstance(spec.lr_schedule, OneCycle | LogCosine)


def warming(spec: ResolvedSpec) -> list[str]:
    """At the start of an epoch: a warm-up that no scheduler does, and the schedule behind it."""
    if not makes_later(spec):
        return []
    after, rate = spec.lr_schedule.warmup_epochs + 1, spec.optimizer.learning_rate
    return [
        f"if epoch <= {after}:  # warm-up",
        *(f"    {line}" for line in _at_rate(spec, f"{literal(rate)} * epoch / {after}")),
        f"if epoch == {after}:",
        *(f"    {line}" for line in _scheduler(spec)),
    ]


def stepping(spec: ResolvedSpec) -> list[str]:
    """A step of the scheduler after each batch."""
    return _scheduled(spec, f"{_name(spec)}.step()")


def scheduling(spec: ResolvedSpec, *, loss: str) -> list[str]:
    """A step of the scheduler after each epoch, where it does not come by batches; `loss`: what a plateau looks at."""
    if steps_by_batch(spec) or not has_scheduler(spec):
        return []
    if spec.lr_schedule.name != "plateau":
        return ["scheduler.step()", *_following(spec)]
    return _scheduled(spec, f"{_name(spec)}.step({loss})", *_following(spec))


def _scheduled(spec: ResolvedSpec, *step: str) -> list[str]:
    """Behind a warm-up that no scheduler does, only once the scheduler is there."""
    return [f"if epoch > {spec.lr_schedule.warmup_epochs}:", *indented(step)] if makes_later(spec) else list(step)


def _name(spec: ResolvedSpec) -> str:
    return f"schedulers[{counter(spec)}]" if spec.ensemble and makes_later(spec) else "scheduler"


def _following(spec: ResolvedSpec) -> list[str]:
    """Behind a step of the scheduler: the other groups' rates, where it does not keep them in proportion to the first's."""
    block = spec.lr_schedule
    if not _differ(spec) or not (isinstance(block, Plateau) or (isinstance(block, Cosine) and block.eta_min)):
        return []
    return _at_rate(spec, 'optimizer.param_groups[0]["lr"]')


def _differ(spec: ResolvedSpec) -> bool:
    return any(factor != 1 for factor in rate_factors(spec))


def _at_rate(spec: ResolvedSpec, rate: str) -> list[str]:
    if not is_grouped(spec):
        return [f'optimizer.param_groups[0]["lr"] = {rate}']
    return [
        f"for group, factor in zip(optimizer.param_groups, {literal(rate_factors(spec))}):",
        f'    group["lr"] = factor * {rate}',
    ]


def _scheduler(spec: ResolvedSpec) -> list[str]:
    block = spec.lr_schedule
    if block.name == "constant":
        return []
    left = max(1, spec.epochs - block.warmup_epochs)
    steps = -(-spec.train_rows // spec.batch_size)
    if block.name == "log_cosine":
        rate = f"0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + {2**block.cycles - 1} * step / {left * steps}))"
        return [f"{_name(spec)} = torch.optim.lr_scheduler.LambdaLR(", f"    optimizer, lambda step: {rate}", ")"]
    fields = block.model_dump(exclude={"name", "warmup_epochs"})
    if block.name == "cosine":
        fields = {"T_max": left, **fields}
    if block.name == "one_cycle":
        rate = literal(spec.optimizer.learning_rate)
        rates = [f"{literal(factor)} * {rate}" for factor in rate_factors(spec)]
        most = f"[{', '.join(rates)}]" if _differ(spec) else rate
        while fields["pct_start"] * (left * steps) == 1:  # a rise of no step at all, by whose length torch divides
            fields["pct_start"] = math.nextafter(fields["pct_start"], 0)
        fields = {"max_lr": Code(most), "total_steps": left * steps, "cycle_momentum": False, **fields}
    name = _SCHEDULES[block.name]
    return wrapped(f"{_name(spec)} = torch.optim.lr_scheduler.{name}(", ["optimizer", *keywords(fields)], ")")
