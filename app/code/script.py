"""The whole script of a job."""

from collections.abc import Mapping
from itertools import pairwise

from app.code.columns import with_gaps_of
from app.code.first_weights import begin, first_rows
from app.code.folds import batch_sizes, dealing, folds
from app.code.front import classes
from app.code.inputs import preprocessing
from app.code.limits import check_expressible
from app.code.loop import loop
from app.code.losses import criterion, has_columns, is_choice, is_weighted
from app.code.members import members, pooled
from app.code.network import dropout, dropout_rates
from app.code.order import is_shuffled, uses, windows
from app.code.randomness import generator
from app.code.regularization import is_scheduled, share
from app.code.rows import reading
from app.code.splitting import is_dealt, splitting
from app.code.targets import is_several, standardizing, weighing
from app.code.watching import metric
from app.domain.custom import is_custom
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec


def script_of(
    spec: ResolvedSpec, described: Mapping[str, Column], *, job: str, validation: Mapping[str, Column] | None = None
) -> str:
    """A torch script that trains what the job trained and prints its losses as CSV; it reads the datasets as CSV.

    `described`: the dataset's columns by name; `validation`: those of the validation dataset, where the spec has one.
    Raises NotSupported: see check_expressible.
    """
    check_expressible(spec, described, validation)
    parts = [
        _about(spec, job),
        _imports(spec),
        _constants(spec),
        generator(spec),
        *_data(spec, described, with_gaps_of(validation, described)),
        *_modules(spec),
        *members(spec)[:1],
        metric(spec, weighted=is_weighted(spec)),
        criterion(spec, weightless_rows=_may_weigh_nothing(spec, described)),
        *members(spec)[1:],
        windows(spec),
        dealing(spec),
        pooled(spec),
        loop(spec),
    ]
    return _joined([part for part in parts if part])


def _modules(spec: ResolvedSpec) -> list[list[str]]:
    """What the network is made of that torch does not have."""
    return [share(spec), dropout(spec), *classes(spec), begin(spec)]


def _data(spec: ResolvedSpec, own: Mapping[str, Column], read: Mapping[str, Column]) -> list[list[str]]:
    """The rows as tensors; which columns have a missing indicator their own dataset decides."""
    indicator = spec.preprocessing.has_indicators
    return [
        *reading(spec, read),
        *splitting(spec, own),
        *preprocessing(spec, read, indicated=[name for name in spec.features if indicator and own[name].missing]),
        weighing(spec),
        standardizing(spec),
        _tensors(spec),
        folds(spec),
    ]


def _about(spec: ResolvedSpec, job: str) -> list[str]:
    return [
        f'"""Job {job} as a plain torch loop: prints epoch, train_loss and val_loss as CSV.',
        "",
        *_arguments(spec),
        *_networks(spec),
        *(["The job read its rows from disk, epoch by epoch; this holds them all in memory."] if spec.streaming else []),
        *(["The job calibrated what it learned for its checkpoints; this does not."] if spec.calibration != "none" else []),
        *([f"The job had at most {spec.max_seconds} seconds; this goes on to the last epoch."] if spec.max_seconds else []),
        '"""',
    ]


def _networks(spec: ResolvedSpec) -> list[str]:
    """Who is trained, where it is not one network."""
    if spec.ensemble is None:
        return []
    judged = "that of each row by the network that left it out" if spec.has_folds else "that of the mean of what they predict"
    judged = f", val_loss {judged}" if spec.judged_rows else ""
    return [f"The job has {spec.ensemble.members} networks: train_loss is the mean of theirs{judged}."]


def _arguments(spec: ResolvedSpec) -> list[str]:
    content = "GET /v1/datasets/{}/content, Accept: text/csv."
    if not spec.validation_dataset:
        return [f"The argument is the dataset {spec.dataset} as CSV: {content.format(spec.dataset)}"]
    return [
        f"The arguments are the datasets {spec.dataset} and, to validate, {spec.validation_dataset}",
        f"as CSV: {content.format('{id}')}",
    ]


def _imports(spec: ResolvedSpec) -> list[str]:
    used = {
        "import collections": is_dealt(spec) and spec.split.method == "group",
        "import csv": True,
        "import math": any(
            (*dropout_rates(spec), is_scheduled(spec), spec.lr_schedule.name == "log_cosine", "math" in "".join(pooled(spec)))
        ),
        "import sys": True,
        "from importlib.metadata import entry_points": is_custom(spec.loss.name),
    }
    own = [line for line, needed in used.items() if needed]
    return [*own, "", "import numpy as np", "import torch", "from torch import nn"]


def _constants(spec: ResolvedSpec) -> list[str]:
    """What the random numbers depend on."""
    drops = any(dropout_rates(spec))
    named = {"WEIGHTS": 1} | uses(spec) | ({"DROPOUT": 3} if drops else {})
    named |= ({"MEMBER": 6} if spec.ensemble else {}) | ({"FOLDS": 7} if spec.has_folds else {})
    lines = [f"SEED = {spec.seed}", f"{', '.join(named)} = {', '.join(map(str, named.values()))}"]
    return [*lines, *([f"BATCH_SIZE = {batch_sizes(spec)[0]}"] if drops else [])]


def _may_weigh_nothing(spec: ResolvedSpec, described: Mapping[str, Column]) -> bool:
    single = spec.has_folds and 1 in (spec.batch_size, spec.train_rows % spec.batch_size)
    weightless = spec.sample_weight is not None and not described[spec.sample_weight].minimum
    return is_shuffled(spec) and (weightless or single)


def _tensors(spec: ResolvedSpec) -> list[str]:
    """x, y and w of both parts."""
    real = "torch.float64" if spec.precision == "fp64" else "torch.float32"
    column = "[:, None]" if has_columns(spec) else ""
    y = "torch.tensor(y)" if is_choice(spec) else f"torch.tensor(y{'' if is_several(spec) else column}, dtype={real})"
    names = {"x": f"torch.tensor(x, dtype={real})", "y": y}
    if is_weighted(spec):
        names["w"] = f"torch.tensor(w{column}, dtype={real})"
    lines = [f"{name} = {value}" for name, value in names.items()]
    for part, rows in [("train", "train"), ("val", "validation")][: 1 + (spec.validation_rows > 0)]:
        lines.append(f"{', '.join(f'{name}_{part}' for name in names)} = {', '.join(f'{name}[{rows}]' for name in names)}")
    if spec.has_folds:
        lines.append("y_val, w_val = y_train, w_train  # all rows are judged, each by the member that left it out")
    return first_rows(spec) + lines


def _joined(parts: list[list[str]]) -> str:
    """Paragraphs: two blank lines around functions and classes, else one."""
    text = "\n".join(parts[0])
    for before, part in pairwise(parts):
        apart = any(one[0].startswith(("def ", "class ")) for one in (before, part)) or _ends_inside(before)
        text += ("\n\n\n" if apart else "\n\n") + "\n".join(part)
    return text + "\n"


def _ends_inside(part: list[str]) -> bool:
    return any(line.startswith("def ") for line in part) and part[-1].startswith(" ")
