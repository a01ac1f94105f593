"""The lines by which dropout and weight decay follow their schedule."""

from app.code.groups import decay_factors
from app.code.network import dropout_rates
from app.code.texts import literal
from app.domain.spec import ResolvedSpec

_SHARE = '''
def share(t):
    """What dropout and weight decay are multiplied by: 1 up to the middle of the training, then a cosine down to 0."""
    return 1.0 if t < 0.5 else 0.5 + 0.5 * math.cos(math.pi * (2 * t - 1))
'''.strip().split("\n")


def share(spec: ResolvedSpec) -> list[str]:
    """`share(t)`, where anything follows it."""
    return _SHARE if is_scheduled(spec) else []


def is_scheduled(spec: ResolvedSpec) -> bool:
    """True where anything is there that follows a schedule."""
    return spec.regularization_schedule != "constant" and (any(dropout_rates(spec)) or spec.optimizer.weight_decay > 0)


def decays_by_step(spec: ResolvedSpec) -> bool:
    """True where each step has a weight decay of its own."""
    return is_scheduled(spec) and spec.optimizer.weight_decay > 0


def decay(spec: ResolvedSpec, *, whole: bool) -> list[str]:
    """The weight decay of a step; `whole`: it is its epoch's only one."""
    if not decays_by_step(spec):
        return []
    steps = -(-spec.train_rows // spec.batch_size)
    done = f"(epoch - 1) / {spec.epochs}" if whole else f"((epoch - 1) * {steps} + step) / {spec.epochs * steps}"
    factors, rate = decay_factors(spec), literal(spec.optimizer.weight_decay)
    if len(factors) == 1:
        return [f'optimizer.param_groups[0]["weight_decay"] = {rate} * share({done})']
    return [
        f"for group, factor in zip(optimizer.param_groups, {literal(factors)}):",
        f'    group["weight_decay"] = factor * {rate} * share({done})',
    ]
