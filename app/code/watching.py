"""The lines of a validation metric that early stopping watches; scikit-learn's definitions, with row weights."""

from app.code.losses import has_columns, is_choice
from app.code.several_metrics import OF_LABELS, OF_NUMBERS
from app.code.targets import is_several, is_standardized
from app.domain.schema import Task
from app.domain.spec import ResolvedSpec

_BODIES = {
    "accuracy": ["return ((p.argmax(1) == y) * w).sum() / w.sum()"],
    "balanced_accuracy": [
        "hit = (p.argmax(1) == y) * w",
        "present = [c for c in range(p.shape[1]) if w[y == c].sum() > 0]",
        "return sum(hit[y == c].sum() / w[y == c].sum() for c in present) / len(present)",
    ],
    "f1": [
        "called, scores = p.argmax(1), []",
        "for c in {classes}:",
        "    either = w[y == c].sum() + w[called == c].sum()",
        "    if either > 0:",
        "        scores.append(2 * w[(y == c) & (called == c)].sum() / either)",
        "return sum(scores) / max(1, len(scores))",
    ],
    "log_loss": [
        "eps = torch.finfo(z.dtype).eps",
        "return -(p[torch.arange(len(y)), y].clamp(eps, 1 - eps).log() * w).sum() / w.sum()",
    ],
    "brier": [
        "distance = (p - nn.functional.one_hot(y, p.shape[1])).square().sum(1)",
        "return {half}(distance * w).sum() / w.sum()",
    ],
    "roc_auc": [
        "areas = []",
        "for c in {classes}:  # the share of pairs that are ranked rightly, ties half",
        "    above, below = p[y == c, c][:, None], p[y != c, c]",
        "    pairs = w[y == c][:, None] * w[y != c]",
        "    areas.append((((above > below) + 0.5 * (above == below)) * pairs).sum() / pairs.sum())",
        "return sum(areas) / len(areas)",
    ],
    "rmse": ["return (((fitted - y){scale}).square() * w).sum().div(w.sum()).sqrt()"],
    "mae": ["return (((fitted - y){scale}).abs() * w).sum() / w.sum()"],
    "r2": [
        "rest = ((fitted - y).square() * w).sum()",
        "total = ((y - (y * w).sum() / w.sum()).square() * w).sum()",
        "return 1 - rest / total if total > 0 else float(rest == 0)",
    ],
}


def watched(spec: ResolvedSpec) -> str | None:
    """The metric's name without `val_`, None where early stopping watches the loss or there is none."""
    if spec.early_stopping is None or spec.early_stopping.metric == "val_loss":
        return None
    return spec.early_stopping.metric.removeprefix("val_")


def metric(spec: ResolvedSpec, *, weighted: bool) -> list[str]:
    """`metric(z)` of the validation rows, where early stopping watches one."""
    name = watched(spec)
    if name is None:
        return []
    binary = spec.task is Task.BINARY
    words = {
        "classes": "[1]" if binary else "range(p.shape[1])",
        "half": "0.5 * " if binary else "",
        "scale": " * scale" if is_standardized(spec) else "",
    }
    lines = [
        f'"""val_{name}, which decides when to stop."""',
        *_given(spec, weighted=weighted),
        *(line.format(**words) for line in _body(spec, name)),
    ]
    return ["def metric(z):", *(f"    {line}" for line in lines)]


def _body(spec: ResolvedSpec, name: str) -> list[str]:
    if name == "r2" and not spec.has_folds and spec.validation_rows < 2:
        return ['return float("nan")']
    if not is_several(spec):
        return _BODIES[name]
    return (OF_NUMBERS if spec.classes is None else OF_LABELS)[name]


def _given(spec: ResolvedSpec, *, weighted: bool) -> list[str]:
    """What the formulas are about: of classes p [n, C], y [n] and w [n], of labels p and y [n, L]; of numbers fitted and y."""
    flat = "torch.ones(len(y_val))" if not weighted else "w_val" if is_choice(spec) else "w_val[:, 0]"
    if is_choice(spec):
        return [f"p, y, w = z.softmax(1).double(), y_val, {flat}.double()"]
    if spec.classes is not None and not is_several(spec):
        return ["s = z.sigmoid().double()", f"p, y, w = torch.cat([1 - s, s], 1), y_val[:, 0].long(), {flat}.double()"]
    column = "" if has_columns(spec) else "[:, None]"
    w = f"w_val{column}" if weighted else "torch.ones(len(y_val), 1)"
    if spec.classes is not None:
        return [f"p, y, w = z.sigmoid().double(), y_val.double(), {w}.double()"]
    y = "y_val" if is_several(spec) else f"y_val{column}"
    fitted = "z.exp()" if spec.loss.name == "poisson" else "z"
    clip = ".clamp(y_train.amin(0), y_train.amax(0))" if spec.clip_predictions else ""
    return [f"fitted, y, w = {fitted}{clip}, {y}, {w}"]
