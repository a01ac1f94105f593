"""Running a stack to its end and gathering what it reported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from app.domain.job import StopReason
from worker.engine.data import Member
from worker.engine.reports import EpochColumns, MemberReport
from worker.engine.stack import Stack


@dataclass
class History:
    """All epochs of one member, and its newest report."""

    columns: EpochColumns = field(default_factory=EpochColumns)
    reports: list[MemberReport] = field(default_factory=list)

    @property
    def end(self) -> MemberReport:
        return self.reports[-1]

    def take(self, report: MemberReport) -> None:
        new, old = report.epochs, self.columns
        for name in ("epoch", "train_loss", "val_loss", "learning_rate", "seconds"):
            getattr(old, name).extend(getattr(new, name))
        for name, column in new.metrics.items():
            old.metrics.setdefault(name, []).extend(column)
        self.reports.append(report)

    def numbers(self) -> tuple[Any, ...]:
        """Everything but the seconds."""
        return (
            self.columns.epoch,
            self.columns.train_loss,
            self.columns.val_loss,
            self.columns.learning_rate,
            self.columns.metrics,
        )


def run(members: Sequence[Member], dtype: torch.dtype = torch.float64, **options: Any) -> tuple[Stack, list[History]]:
    """Train to the end."""
    stack = Stack(members, dtype=dtype, **options)
    histories = [History() for _ in members]
    for reports in stack.train():
        for report in reports:
            histories[report.position].take(report)
    return stack, histories


def run_and_stop(members: Sequence[Member], position: int, *, after: int) -> list[History]:
    """Train to the end, but cancel the member at a position after so many reports, of which there is one a step."""
    stack = Stack(members, dtype=torch.float64, report_seconds=0)
    histories = [History() for _ in members]
    for count, reports in enumerate(stack.train(), start=1):
        for report in reports:
            histories[report.position].take(report)
        if count == after:
            stack.stop(position, StopReason.CANCELLED)
    return histories
