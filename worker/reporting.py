"""From the engine's plain numbers to what is stored."""

from app.domain.history import EpochColumns, EpochLosses
from app.persistence.reports import Progress
from worker.engine.reports import EpochLosses as Losses
from worker.engine.reports import MemberReport


def losses_of(losses: Losses) -> EpochLosses:
    """One epoch as it is stored."""
    return EpochLosses.of(losses.epoch, train=losses.train_loss, val=losses.val_loss, metrics=losses.metrics.items())


def progress_of(report: MemberReport) -> Progress:
    """What a report adds to its job."""
    new = report.epochs
    columns = EpochColumns(
        epoch=new.epoch,
        train_loss=[*new.train_loss],
        val_loss=new.val_loss,
        learning_rate=[*new.learning_rate],
        seconds=new.seconds,
        metrics={name: [*values] for name, values in new.metrics.items()},
    )
    return Progress(
        epochs=columns,
        epoch=report.epoch,
        seconds=new.seconds[-1] if new.seconds else None,
        latest=losses_of(report.latest) if report.latest else None,
        best=losses_of(report.best) if report.best else None,
    )
