"""The lines of the loss: its criterion, the loss of some rows, and what is reported of it."""

from app.code.targets import is_several, is_standardized
from app.code.texts import indented, keywords, literal
from app.domain.custom import CUSTOM, ENTRY_POINTS, is_custom
from app.domain.schema import Task
from app.domain.spec import ResolvedSpec
from app.domain.spec.losses import CrossEntropy, Focal, Huber, Quantile

_CLASSES = {
    "cross_entropy": "CrossEntropyLoss",
    "bce": "BCEWithLogitsLoss",
    "mse": "MSELoss",
    "l1": "L1Loss",
    "huber": "HuberLoss",
    "poisson": "PoissonNLLLoss",
}
_UNITS = {"mse": " * scale**2", "huber": " * scale**2", "l1": " * scale", "quantile": " * scale"}


def is_weighted(spec: ResolvedSpec) -> bool:
    """True where rows weigh differently; those of a member's own fold weigh nothing."""
    return spec.sample_weight is not None or spec.class_weights is not None or spec.has_folds


def is_choice(spec: ResolvedSpec) -> bool:
    """True where the network has an output for each class of one target."""
    return spec.task in (Task.BINARY, Task.MULTICLASS) and spec.loss.name != "bce"


def has_columns(spec: ResolvedSpec) -> bool:
    """True where y and w are columns, as the network's answer is; a class has an index, and a custom loss one number a row."""
    return not is_choice(spec) and not is_custom(spec.loss.name)


def is_by_column(spec: ResolvedSpec) -> bool:
    """True where a loss is kept for each target column, for each has its own units."""
    return is_several(spec) and bool(_units(spec))


def criterion(spec: ResolvedSpec, *, weightless_rows: bool) -> list[str]:
    """`criterion(z, y)`: the mean loss; where rows weigh or columns have units, the loss of each row and column.

    With weights also `loss_of(z, y, w)`, the weighted mean. `weightless_rows`: a batch may have no weight; its loss is 0.
    """
    each = is_weighted(spec) or is_by_column(spec)
    lines = _written(spec, mean="" if each else ".mean()") or _made(spec, {"reduction": "none"} if each else {})
    if not is_weighted(spec):
        return lines
    return [*lines, "", "", *_weighted(spec, "w.sum().clamp(min=torch.finfo(w.dtype).tiny)" if weightless_rows else "w.sum()")]


def _weighted(spec: ResolvedSpec, total: str) -> list[str]:
    weighted = "(criterion(z, y) * w)"
    if is_by_column(spec):
        summary, value = "Of each column the weighted mean.", f"{weighted}.sum(0)"
    else:
        by_cell = is_several(spec) and not is_custom(spec.loss.name)
        summary, value = "The weighted mean.", f"{weighted}{'.mean(1)' if by_cell else ''}.sum()"
    return ["def loss_of(z, y, w):", f'    """{summary}"""', f"    return {value} / {total}"]


def _made(spec: ResolvedSpec, reduction: dict[str, str]) -> list[str]:
    if not is_custom(spec.loss.name):
        return [f"criterion = nn.{_CLASSES[spec.loss.name]}({', '.join([*_options(spec), *keywords(reduction)])})"]
    name, real = literal(spec.loss.name.removeprefix(CUSTOM)), "double" if spec.precision == "fp64" else "float"
    return [
        f"[entry] = entry_points(group={literal(ENTRY_POINTS)}, name={name})  # installed here as on the workers",
        f"criterion = entry.load()().{real}()  # one loss a row",
    ]


def _options(spec: ResolvedSpec) -> list[str]:
    match spec.loss:
        case CrossEntropy(label_smoothing=smoothing) if smoothing:
            return keywords({"label_smoothing": smoothing})
        case Huber(delta=delta):
            return [f"delta={literal(delta)}{' / scale' if is_standardized(spec) else ''}"]
    return []


def _written(spec: ResolvedSpec, *, mean: str) -> list[str]:
    """A loss that torch has no class for."""
    match spec.loss:
        case Quantile(q=q):
            value = f"torch.maximum({literal(q)} * (y - z), ({literal(q)} - 1) * (y - z))"
            return _function(f"The pinball loss of quantile {literal(q)}.", [], f"{value}{mean}")
        case Huber(delta=delta) if is_by_column(spec):
            lines = [
                f"distance, delta = (z - y).abs(), ({literal(delta)} / scale).to(y)",
                "near = torch.minimum(distance, delta)",
            ]
            about = "nn.HuberLoss, whose delta is in the units of each column."
            return _function(about, lines, "near * (distance - near / 2)")
        case Focal(gamma=gamma):
            entropy = "binary_cross_entropy_with_logits" if spec.task is Task.MULTILABEL else "cross_entropy"
            kept = ".clamp(min=torch.finfo(z.dtype).tiny)" if gamma < 1 else ""
            lines = [
                f'log_p = -nn.functional.{entropy}(z, y, reduction="none")',
                f"missing = (-torch.expm1(log_p)){kept}  # 1 - p",
            ]
            about = "Cross-entropy -log p, times (1 - p) ** gamma (Lin et al., 2017)."
            value = f"missing**{literal(gamma)} * -log_p"
            return _function(about, lines, f"({value}){mean}" if mean else value)
    return []


def _function(about: str, lines: list[str], value: str) -> list[str]:
    return ["def criterion(z, y):", *indented([f'"""{about}"""', *lines, f"return {value}"])]


def loss_of(spec: ResolvedSpec, rows: str, *, z: str | None = None) -> str:
    """The mean loss of `x_…[rows]`, or of each column; rows like `_train[batch]`. `z`: what is known of them already."""
    z = z or f"net(x{rows})"
    if is_weighted(spec):
        own = spec.has_folds and rows.startswith("_train")
        return f"loss_of({z}, y{rows}, w{rows.removeprefix('_train') if own else rows})"
    mean = ".mean(0)" if is_by_column(spec) else ".mean()" if is_custom(spec.loss.name) else ""
    return f"criterion({z}, y{rows}){mean}"


def reported(spec: ResolvedSpec, loss: str) -> str:
    """A trained loss as a number in the target's units; of several columns the mean."""
    return f"({loss}{_units(spec)}).mean().item()" if is_by_column(spec) else f"{loss}.item(){_units(spec)}"


def reported_sum(spec: ResolvedSpec, total: str) -> str:
    """The same of what was summed up."""
    return f"({total}{_units(spec)}).mean().item()" if is_by_column(spec) else f"{total}{_units(spec)}"


def _units(spec: ResolvedSpec) -> str:
    """What turns a trained loss into the target's units."""
    return _UNITS.get(spec.loss.name, "") if is_standardized(spec) else ""
