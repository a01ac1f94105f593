"""Fixed features of a scaled number: how far it has come in each of some bins, or cosines of it."""

import numpy as np
from numpy.typing import NDArray

from app.domain.columns import Bins, NumericColumn, Waves
from app.domain.spec import Periodic, PiecewiseLinear, ResolvedSpec

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Sets the stream of frequencies and phases apart from all else that is drawn from a job's seed.
STREAM = 0xF0A5


def fit_features(spec: ResolvedSpec, column: NumericColumn, values: Vector) -> Bins | Waves | None:
    """The features of a column whose training values are, scaled, `values` [m]."""
    match spec.network.numeric_features:
        case PiecewiseLinear(bins=bins):
            return _bins(bins, values)
        case Periodic(frequencies=count, sigma=sigma):
            return _waves(count, sigma, (spec.seed, spec.numeric_feature_columns.index(column.name)))
    return None


def _bins(count: int, values: Vector) -> Bins:
    """Between quantiles at equal steps; without any value no bin has a width."""
    seen = values if len(values) else np.zeros(1)
    return Bins(knots=np.quantile(seen, np.linspace(0, 1, count + 1)).tolist())


def _waves(count: int, sigma: float, place: tuple[int, int]) -> Waves:
    """A pure function of seed and column; normal numbers after Box and Muller."""
    numbers = np.random.Philox(np.random.SeedSequence([*place, STREAM])).random_raw((3, count))
    size, turn, phase = (numbers >> np.uint64(11)) / 2.0**53
    frequencies = sigma * np.sqrt(-2 * np.log1p(-size)) * np.cos(2 * np.pi * turn)
    return Waves(frequencies=frequencies.tolist(), phases=((2 * phase - 1) * np.pi).tolist())


def fill(features: Bins | Waves, values: Vector, block: Matrix) -> None:
    """Writes the features of scaled values [n] into `block` [n, count]."""
    if isinstance(features, Bins):
        np.multiply(np.subtract.outer(values, np.array(features.knots[:-1])), np.array(features.slopes), out=block)
        np.clip(block, 0.0, 1.0, out=block)
    else:
        np.multiply.outer(2 * np.pi * values, np.array(features.frequencies), out=block)
        np.cos(block + np.array(features.phases), out=block)
