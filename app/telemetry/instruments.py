"""What the API counts of itself: requests by route and status, how long they took, rows predicted."""

from bisect import bisect_left

from app.telemetry.meter import Meter

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds in seconds; what takes longer is in the last one, `+Inf`."""
REQUESTS, DURATIONS, SECONDS, ROWS = "requests", "durations", "microseconds", "predicted_rows"
"""The names of the keys."""
ELSEWHERE, OTHER, NO_ANSWER = "none", "OTHER", "none"

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_BOUNDS = (*map(str, BUCKETS), "+Inf")


class Instruments:
    """Takes a few microseconds a request; the labels are the service's own words, never a caller's."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def answered(self, method: str, route: str | None, *, status: int, seconds: float) -> None:
        """A request to one of our routes by its template, or to none; status 0 where the caller left before."""
        what = (method if method in _METHODS else OTHER, route or ELSEWHERE)
        bound = _BOUNDS[bisect_left(BUCKETS, seconds)]
        self._meter.add(
            (
                ((REQUESTS, *what, str(status or NO_ANSWER)), 1),
                ((DURATIONS, *what, bound), 1),
                ((SECONDS, *what), round(1_000_000 * seconds)),
            )
        )

    def predicted(self, rows: int) -> None:
        """Rows that were answered with a prediction."""
        self._meter.add([((ROWS,), rows)])
