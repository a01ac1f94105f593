"""The random numbers of a split."""

import numpy as np
from numpy.typing import NDArray

# Sets the stream of the split apart from all else that is drawn from a job's seed.
STREAM = 0x5B117


def drawn(seed: int, n: int) -> NDArray[np.uint64]:
    """Uniform 64-bit numbers `[n]`, a pure function of the seed."""
    numbers: NDArray[np.uint64] = np.random.Philox(np.random.SeedSequence([seed, STREAM])).random_raw(n)
    return numbers
