"""What the lines of an ensemble follow from."""

from app.domain.spec import ResolvedSpec


def has_folds(spec: ResolvedSpec) -> bool:
    """True where each member leaves out its own part of the training rows."""
    return spec.ensemble is not None and spec.ensemble.folds is True


def is_validated(spec: ResolvedSpec) -> bool:
    """True where rows are predicted by a network that has not learned from them."""
    return spec.validation_rows > 0 or has_folds(spec)


def counter(spec: ResolvedSpec) -> str:
    """The variable that counts the members."""
    return "fold" if has_folds(spec) else "index"
