"""The lines of folds: each member of an ensemble leaves out one part of the training rows, and predicts it."""

from app.code.losses import has_columns
from app.code.order import is_shuffled
from app.code.randomness import drawn
from app.code.targets import is_several
from app.domain.spec import ResolvedSpec

_DEAL = '''
def deal(epoch):
    """An epoch's batches: each with as many rows of a fold as of any other, and those of a fold side by side."""
    order = torch.randperm({rows}, generator={generator})
    dealt = torch.empty_like(order)
    for fold in range({members}):
        dealt[fold::{members}] = order[folds[order] == fold]
    return [batch[folds[batch].argsort(stable=True)] for batch in dealt.split({size})]


def others(batch, fold):
    """A batch without a fold, for the member that leaves it out; one row of it may stay, which weighs nothing."""
    own = folds[batch] == fold
    return batch[~own | (own.cumsum(0) > len(batch) // {members})]
'''.strip().split("\n")


def folds(spec: ResolvedSpec) -> list[str]:
    """`folds`: the fold of each training row."""
    if not spec.has_folds or spec.ensemble is None:
        return []
    rows, members = spec.train_rows, spec.ensemble.members
    return [
        f"# Each member leaves out a fold; folds are even in rows{', and in each class' if _by_class(spec) else ''}.",
        f"dealt = torch.randperm({rows}, generator={drawn(spec, 'FOLDS', seed='SEED')})",
        *([f"dealt = dealt[y_train[dealt{', 0' if has_columns(spec) else ''}].argsort(stable=True)]"] * _by_class(spec)),
        "folds = torch.empty_like(dealt)",
        f"folds[dealt] = torch.arange({rows}) % {members}",
    ]


def dealing(spec: ResolvedSpec) -> list[str]:
    """`deal(epoch)` and `others(batch, fold)`, where there are several batches."""
    if not spec.has_folds or spec.ensemble is None or not is_shuffled(spec):
        return []
    words = {
        "rows": spec.train_rows,
        "size": spec.batch_size,
        "members": spec.ensemble.members,
        "generator": drawn(spec, "ORDER, epoch", seed="SEED"),
    }
    return [line.format(**words) for line in _DEAL]


def batch_sizes(spec: ResolvedSpec) -> list[int]:
    """How many rows a network sees of a batch, and of the last one."""
    sizes = [spec.batch_size, spec.train_rows % spec.batch_size or spec.batch_size]
    if spec.ensemble is None or not spec.has_folds or not is_shuffled(spec):
        return sizes
    return [size - size // spec.ensemble.members for size in sizes]


def _by_class(spec: ResolvedSpec) -> bool:
    return spec.classes is not None and not is_several(spec)
