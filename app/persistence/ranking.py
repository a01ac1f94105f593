"""By what a sweep ranks its trials: its metric at each trial's best epoch, the best trial first."""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, null, or_

from app.domain.history import EpochLosses
from app.domain.job import Status
from app.domain.sweep import Mode
from app.persistence.tables import jobs


def value_of(best: EpochLosses, metric: str) -> float | None:
    """What a report of a best epoch makes of the `value` of a sweep's trial: the sweep's metric, if it is finite there."""
    found = {"train_loss": best.train_loss, "val_loss": best.val_loss, **best.metrics}.get(metric)
    return float(found) if isinstance(found, int | float) else None


def ranked(mode: Mode) -> ColumnElement[float | None]:
    """The less the better; null, and so behind all others, for a trial that failed or has no value."""
    value = jobs.c.value if mode == "min" else -jobs.c.value
    return case((jobs.c.status == Status.FAILED, null()), else_=value)


def in_order(mode: Mode) -> list[ColumnElement[Any]]:
    """The order of the leaderboard, which is total: equal trials stand by age."""
    return [ranked(mode).is_(None), ranked(mode), jobs.c.id]


def behind(mode: Mode, *, value: float | None, id: str) -> ColumnElement[bool]:
    """True for the trials that stand behind that of this ranked value and id."""
    here = ranked(mode)
    if value is None:
        return and_(here.is_(None), jobs.c.id > id)
    return or_(here.is_(None), here > value, and_(here == value, jobs.c.id > id))
