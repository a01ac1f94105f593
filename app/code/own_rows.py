"""The rows of the job's own dataset, before which no others stand: their number, and what is drawn for them."""

from app.domain.sizes import Sizes
from app.domain.spec import ResolvedSpec


def sizes_of_own(spec: ResolvedSpec) -> Sizes:
    """How they are split; a part that is a dataset of its own has none of them."""
    validation = 0 if spec.validation_dataset else spec.validation_rows
    return Sizes(spec.train_rows, validation, 0 if spec.test_dataset else spec.test_rows)


def own_of(spec: ResolvedSpec, name: str) -> str:
    """The part of `rows` or `y` that is theirs."""
    return f"{name}[:own]" if spec.validation_dataset else name


def count_of(spec: ResolvedSpec) -> str:
    """How many they are."""
    return "own" if spec.validation_dataset else "len(rows)"


def draw(count: str) -> str:
    """So many random numbers of the split."""
    return f"np.random.Philox(np.random.SeedSequence([SEED, 0x5B117])).random_raw({count})"
