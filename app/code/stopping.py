"""The lines that decide when to stop."""

from app.code.texts import literal
from app.domain.metrics import lower_is_better
from app.domain.spec import ResolvedSpec


def stopping(spec: ResolvedSpec) -> list[str]:
    """`stops`: patience has ended, or this is the last epoch."""
    rule = spec.early_stopping
    if rule is None or not spec.judged_rows:
        return []
    value = "val_loss" if rule.metric == "val_loss" else "value" if lower_is_better(rule.metric) else "-value"
    if rule.patience == "cycle":
        return _judging(value, rule.min_delta)
    less = f" - {literal(rule.min_delta)}" if rule.min_delta else ""
    return [
        f"best, waited = ({value}, 0) if {value} < best{less} else (best, waited + 1)",
        f"stops = waited >= {rule.patience}",
    ]


def start(spec: ResolvedSpec) -> list[str]:
    """What `stops` follows from, before the first epoch."""
    if not stopping(spec):
        return []
    schedule = spec.lr_schedule
    if schedule.name != "log_cosine" or spec.early_stopping is None or spec.early_stopping.patience != "cycle":
        return ['best, waited = float("inf"), 0']
    return [
        'best = within = float("inf")',
        f"ends = {schedule.ends(spec.epochs)}  # the last epochs of cycles; the first cycle is not judged",
    ]


def _judging(value: str, min_delta: float) -> list[str]:
    less = f" - {literal(min_delta)}" if min_delta else ""
    return [
        f"within, stops = min(within, {value}), False",
        "if epoch in ends:",
        f"    stops = ends[epoch] and within >= best{less}",
        '    best, within = min(best, within), float("inf")',
    ]
