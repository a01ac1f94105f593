"""The lines of the training loop."""

from app.code.ensembles import counter
from app.code.losses import loss_of, reported, reported_sum
from app.code.members import parts
from app.code.network import dropout_rates
from app.code.order import is_shuffled
from app.code.steps import ordering, passing
from app.code.stopping import start, stopping
from app.code.texts import indented
from app.code.training import makes_later, scheduling
from app.code.watching import watched
from app.domain.spec import ResolvedSpec


def loop(spec: ResolvedSpec) -> list[str]:
    """Epochs: batches, validation, schedule, stopping, and a line of CSV each."""
    stops = stopping(spec)
    once = ["step = 0  # one batch an epoch"] if any(dropout_rates(spec)) and not is_shuffled(spec) else []
    body = [
        *(_members(spec) if spec.ensemble else passing(spec)),
        *(_validation(spec) if spec.judged_rows else []),
        *_scheduling(spec),
        *stops,
        *_printing(spec),
        *(["if stops:", "    break"] if stops else []),
    ]
    return [
        *once,
        *(["schedulers = {}  # of each member, once they are there"] if spec.ensemble and makes_later(spec) else []),
        *start(spec),
        'print("epoch,train_loss,val_loss")',
        f"for epoch in range(1, {spec.epochs + 1}):",
        *indented(body),
    ]


def _members(spec: ResolvedSpec) -> list[str]:
    """Each in turn passes over the rows; what is reported is their mean."""
    if spec.ensemble is None:
        return []
    own = ", ".join(parts(spec))
    counted = spec.has_folds or makes_later(spec)
    return [
        *ordering(spec),
        "losses = []",
        f"for {counter(spec)}, ({own}) in enumerate(members):" if counted else f"for {own} in members:",
        *indented(passing(spec)),
        f"train_loss = {reported_sum(spec, f'sum(losses) / {spec.ensemble.members}')}",
    ]


def _validation(spec: ResolvedSpec) -> list[str]:
    if spec.ensemble is None:
        scored = ["value = float(metric(net(x_val)))"] if watched(spec) else []
        lines = [f"val_loss = {reported(spec, loss_of(spec, '_val'))}", *scored]
        return ["net.eval()", "with torch.no_grad():", *indented(lines)]
    scored = ["value = float(metric(z))"] if watched(spec) else []
    lines = [*_predicting(spec), f"val_loss = {reported(spec, loss_of(spec, '_val', z='z'))}", *scored]
    return ["with torch.no_grad():", *indented(lines)]


def _predicting(spec: ResolvedSpec) -> list[str]:
    """`z` of all members: each its own fold, or together."""
    if not spec.has_folds:
        return ["z = pooled(torch.stack([net.eval()(x_val) for net, *_ in members]))"]
    return [
        f"z = x_train.new_empty({spec.train_rows}, {spec.layers[-1]})",
        "for fold, (net, *_) in enumerate(members):",
        "    z[folds == fold] = net.eval()(x_train[folds == fold])  # rows that it has not learned from",
    ]


def _scheduling(spec: ResolvedSpec) -> list[str]:
    """After an epoch: the schedulers of all members."""
    steps = scheduling(spec, loss="val_loss" if spec.judged_rows else "train_loss")
    if not steps or spec.ensemble is None:
        return steps
    if makes_later(spec):
        return [f"for {counter(spec)}, (_, optimizer) in enumerate(members):", *indented(steps)]
    return ["for _, optimizer, scheduler in members:", *indented(steps)]


def _printing(spec: ResolvedSpec) -> list[str]:
    line = 'print(f"{epoch},{train_loss},{val_loss}")' if spec.judged_rows else 'print(f"{epoch},{train_loss},")'
    if spec.record_every == 1:
        return [line]
    last = f"stops or epoch == {spec.epochs}" if stopping(spec) else f"epoch == {spec.epochs}"
    return [f"if epoch == 1 or epoch % {spec.record_every} == 0 or {last}:", f"    {line}"]
