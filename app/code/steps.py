"""The lines by which one network learns from the training rows once."""

from app.code.folds import batch_sizes
from app.code.losses import has_columns, is_by_column, is_weighted, loss_of, reported, reported_sum
from app.code.network import dropout_rates
from app.code.order import is_shuffled, order
from app.code.regularization import decay, decays_by_step
from app.code.texts import indented, literal
from app.code.training import stepping, steps_by_batch, warming
from app.domain.spec import ResolvedSpec

_SINGLE = [
    "for module in net:  # a batch of one row has no variance: the running statistics normalize it",
    "    if isinstance(module, nn.BatchNorm1d):",
    "        module.train(len(batch) > 1)",
]


def passing(spec: ResolvedSpec) -> list[str]:
    """One pass over the rows: ends with `train_loss`, or for a member of an ensemble with one more of `losses`."""
    return [*warming(spec), "net.train()", *(_batches(spec) if is_shuffled(spec) else _whole(spec))]


def ordering(spec: ResolvedSpec) -> list[str]:
    """The batches that all members of an ensemble see in an epoch, in the same order."""
    if not is_shuffled(spec):
        return []
    return ["batches = deal(epoch)" if spec.has_folds else f"batches = {order(spec)}.split({spec.batch_size})"]


def _step(spec: ResolvedSpec, rows: str) -> list[str]:
    clip = spec.gradient_clip_norm
    return [
        "optimizer.zero_grad()",
        f"loss = {loss_of(spec, rows)}",
        f"loss{'.mean()' if is_by_column(spec) else ''}.backward()",
        *([f"nn.utils.clip_grad_norm_(net.parameters(), {literal(clip)})"] if clip else []),
        *decay(spec, whole=not is_shuffled(spec)),
        "optimizer.step()",
        *(stepping(spec) if steps_by_batch(spec) else []),
    ]


def _whole(spec: ResolvedSpec) -> list[str]:
    left_out = [f"w = {_own_weights(spec)}"] if spec.has_folds else []
    if spec.ensemble:
        found = f"losses.append({'loss.detach().double()' if is_by_column(spec) else 'loss.item()'})"
    else:
        found = f"train_loss = {reported(spec, 'loss')}"
    return [*left_out, *_step(spec, "_train"), found]


def _batches(spec: ResolvedSpec) -> list[str]:
    w = "w" if spec.has_folds else "w_train"
    weight, whole = "len(batch)", str(spec.train_rows)
    if is_weighted(spec):
        weight, whole = f"{w}[batch].sum().item()", f"{w}.sum().item()"
    inner = [
        *(["batch = others(batch, fold)"] if spec.has_folds else []),
        *(_SINGLE if spec.network.normalization == "batch" and 1 in batch_sizes(spec) else []),
        *_step(spec, "_train[batch]"),
        f"total += {'loss.detach().double()' if is_by_column(spec) else 'loss.item()'} * {weight}",
    ]
    mean = f"total / {whole}"
    return [
        *_beginning(spec),
        *_each(spec),
        *indented(inner),
        f"losses.append({mean})" if spec.ensemble else f"train_loss = {reported_sum(spec, mean)}",
    ]


def _beginning(spec: ResolvedSpec) -> list[str]:
    if spec.has_folds:
        return [f"w, total = {_own_weights(spec)}, 0.0"]
    return ["total = 0.0"] if spec.ensemble else [f"order, total = {order(spec)}, 0.0"]


def _each(spec: ResolvedSpec) -> list[str]:
    counts = any(dropout_rates(spec)) or decays_by_step(spec)
    batches = "batches" if spec.ensemble else f"order.split({spec.batch_size})"
    return [f"for step, batch in enumerate({batches}):" if counts else f"for batch in {batches}:"]


def _own_weights(spec: ResolvedSpec) -> str:
    """Of the rows for one member: those of its fold have none."""
    return f"w_train * (folds != fold){'[:, None]' if has_columns(spec) else ''}"
