"""How the lines of an ensemble name its networks."""

from app.domain.spec import ResolvedSpec


def counter(spec: ResolvedSpec) -> str:
    """The variable that counts the members."""
    return "fold" if spec.has_folds else "index"
