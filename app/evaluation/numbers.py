"""The metrics of a regression, as sums that rows are added to."""

from collections.abc import Callable

import numpy as np

from app.evaluation.probabilities import Array, Targets


class NumberSums:
    """In trained units, each [O]; `scale` [O] makes them the target's own. Predictions are clipped to `limits`, two of [O]."""

    def __init__(self, scale: Array, *, limits: tuple[Array, Array] | None = None) -> None:
        self._scale, self._limits = scale, limits
        self._rows, self._weight = 0, 0.0
        self._squares, self._distances, self._mean, self._spread = (np.zeros_like(scale) for _ in range(4))
        self._low, self._high = np.full_like(scale, np.inf), np.full_like(scale, -np.inf)

    def add(self, z: Array, y: Targets, w: Array) -> None:
        """More rows: z and y [n, O], w [n]."""
        residual = (z if self._limits is None else z.clip(*self._limits)) - y
        self._rows += len(y)
        self._squares += w @ np.square(residual)
        self._distances += w @ np.abs(residual)
        self._spread_out(y[w > 0], w[w > 0])

    def _spread_out(self, y: Targets, w: Array) -> None:
        """Σ w · (y - mean)² of all rows from that of these and that of those before (Chan et al., 1979)."""
        if not len(y):
            return
        here = w.sum()
        mean = w @ y / here
        weight, distance = self._weight + here, mean - self._mean
        self._spread += w @ np.square(y - mean) + np.square(distance) * self._weight * here / weight
        self._mean += distance * here / weight
        self._weight = weight
        self._low, self._high = np.minimum(self._low, y.min(axis=0)), np.maximum(self._high, y.max(axis=0))

    def metrics(self, *, alive: Callable[[], None]) -> dict[str, float]:
        """Means over the columns."""
        mse = self._squares / self._weight
        named = {"rmse": np.sqrt(mse) * self._scale, "mae": self._distances / self._weight * self._scale, "r2": self._r2(mse)}
        return {name: float(values.mean()) for name, values in named.items()}

    def _r2(self, mse: Array) -> Array:
        """1 - residual / total; a constant target gives 1 where it is met exactly and else 0; undefined below two rows."""
        if self._rows < 2:
            return np.full_like(mse, np.nan)
        total = np.where(self._low < self._high, self._spread / self._weight, 0.0)
        return np.where(total > 0, 1 - mse / total, np.where(mse == 0, 1.0, np.where(np.isnan(mse), np.nan, 0.0)))
