"""The lines of the training loop."""

from app.code.losses import is_by_column, is_weighted, loss_of, reported, reported_sum
from app.code.network import dropout_rates
from app.code.order import is_shuffled, order
from app.code.regularization import decay, decays_by_step
from app.code.texts import indented, literal
from app.code.training import following, makes_later, steps_by_batch, warming
from app.code.watching import watched
from app.domain.metrics import lower_is_better
from app.domain.spec import ResolvedSpec


def loop(spec: ResolvedSpec) -> list[str]:
    """Epochs: batches, validation, schedule, stopping, and a line of CSV each."""
    stopping = _stopping(spec)
    once = ["step = 0  # one batch an epoch"] if any(dropout_rates(spec)) and not is_shuffled(spec) else []
    body = [
        *warming(spec),
        "net.train()",
        *(_batches(spec) if is_shuffled(spec) else _whole(spec)),
        *_validation(spec),
        *_scheduling(spec),
        *stopping,
        *_printing(spec),
        *(["if stops:", "    break"] if stopping else []),
    ]
    best = _start(spec) if stopping else []
    return [
        *once,
        *best,
        'print("epoch,train_loss,val_loss")',
        f"for epoch in range(1, {spec.epochs + 1}):",
        *indented(body),
    ]


def _step(spec: ResolvedSpec, rows: str) -> list[str]:
    clip = spec.gradient_clip_norm
    return [
        "optimizer.zero_grad()",
        f"loss = {loss_of(spec, rows)}",
        f"loss{'.mean()' if is_by_column(spec) else ''}.backward()",
        *([f"nn.utils.clip_grad_norm_(net.parameters(), {literal(clip)})"] if clip else []),
        *decay(spec, whole=not is_shuffled(spec)),
        "optimizer.step()",
        *(_scheduled(spec, "scheduler.step()") if steps_by_batch(spec) else []),
    ]


def _scheduled(spec: ResolvedSpec, *step: str) -> list[str]:
    """The scheduler's step; behind a warm-up that no scheduler does, only once it is there."""
    return [f"if epoch > {spec.lr_schedule.warmup_epochs}:", *indented(step)] if makes_later(spec) else list(step)


def _whole(spec: ResolvedSpec) -> list[str]:
    return [*_step(spec, "_train"), f"train_loss = {reported(spec, 'loss')}"]


def _batches(spec: ResolvedSpec) -> list[str]:
    counts, weighted = any(dropout_rates(spec)) or decays_by_step(spec), is_weighted(spec)
    split = f"order.split({spec.batch_size})"
    single = spec.network.normalization == "batch" and spec.train_rows % spec.batch_size == 1
    weight, whole = (
        ("w_train[batch].sum().item()", "w_train.sum().item()") if weighted else ("len(batch)", str(spec.train_rows))
    )
    inner = [
        *(_SINGLE if single else []),
        *_step(spec, "_train[batch]"),
        f"total += {'loss.detach().double()' if is_by_column(spec) else 'loss.item()'} * {weight}",
    ]
    return [
        f"order, total = {order(spec)}, 0.0",
        f"for step, batch in enumerate({split}):" if counts else f"for batch in {split}:",
        *indented(inner),
        f"train_loss = {reported_sum(spec, f'total / {whole}')}",
    ]


_SINGLE = [
    "for module in net:  # a batch of one row has no variance: the running statistics normalize it",
    "    if isinstance(module, nn.BatchNorm1d):",
    "        module.train(len(batch) > 1)",
]


def _validation(spec: ResolvedSpec) -> list[str]:
    if not spec.validation_rows:
        return []
    scored = ["value = float(metric(net(x_val)))"] if watched(spec) else []
    lines = [f"val_loss = {reported(spec, loss_of(spec, '_val'))}", *scored]
    return ["net.eval()", "with torch.no_grad():", *indented(lines)]


def _scheduling(spec: ResolvedSpec) -> list[str]:
    schedule = spec.lr_schedule
    if steps_by_batch(spec) or (schedule.name == "constant" and not schedule.warmup_epochs):
        return []
    if schedule.name != "plateau":
        return ["scheduler.step()", *following(spec)]
    return _scheduled(spec, f"scheduler.step({'val_loss' if spec.validation_rows else 'train_loss'})", *following(spec))


def _stopping(spec: ResolvedSpec) -> list[str]:
    """`stops`: patience has ended, or this is the last epoch."""
    rule = spec.early_stopping
    if rule is None or not spec.validation_rows:
        return []
    value = "val_loss" if rule.metric == "val_loss" else "value" if lower_is_better(rule.metric) else "-value"
    if rule.patience == "cycle":
        return _judging(value, rule.min_delta)
    less = f" - {literal(rule.min_delta)}" if rule.min_delta else ""
    return [
        f"best, waited = ({value}, 0) if {value} < best{less} else (best, waited + 1)",
        f"stops = waited >= {rule.patience}",
    ]


def _start(spec: ResolvedSpec) -> list[str]:
    """What `stops` follows from, before the first epoch."""
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


def _printing(spec: ResolvedSpec) -> list[str]:
    line = 'print(f"{epoch},{train_loss},{val_loss}")' if spec.validation_rows else 'print(f"{epoch},{train_loss},")'
    if spec.record_every == 1:
        return [line]
    last = f"stops or epoch == {spec.epochs}" if _stopping(spec) else f"epoch == {spec.epochs}"
    return [f"if epoch == 1 or epoch % {spec.record_every} == 0 or {last}:", f"    {line}"]
