"""By what a sweep ranks its trials: its metric at each trial's best epoch, the best trial first."""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, null, or_, select

from app.domain.history import EpochLosses
from app.domain.job import Status
from app.domain.sweep import Mode
from app.persistence.tables import jobs, sweeps


def value_of(best: EpochLosses) -> ColumnElement[Any]:
    """What a report of a best epoch makes of the job's `value`; null unless it has a sweep, whose metric is finite there."""
    named = {"train_loss": best.train_loss, "val_loss": best.val_loss, **best.metrics}
    numbers = {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
    metric = select(sweeps.c.metric).where(sweeps.c.id == jobs.c.sweep_id).scalar_subquery()
    return case(numbers, value=metric, else_=null()) if numbers else null()


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
