"""The stack: K networks of one shape trained at once, as a generator of reports."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from math import inf
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.domain.job import StopReason
from app.domain.metrics import of_task
from worker.engine import fused, recovery, replay, tape
from worker.engine.calibration import Calibration, Exported
from worker.engine.data import Member
from worker.engine.ensembles import Seating
from worker.engine.evaluation import Split, finished, is_validated, of_member
from worker.engine.fitting import check, filled
from worker.engine.keeping import Keeper, Place, Which
from worker.engine.layout import Layout
from worker.engine.ledger import Ledger
from worker.engine.network import Weights
from worker.engine.progress import Block, Progress, Verdict
from worker.engine.recovery import State
from worker.engine.replayed import Replayed
from worker.engine.reports import EpochLosses, MemberReport
from worker.engine.training import Training, plan

# Far below what a person notices.
_FIRST_REPORT_SECONDS = 0.02


class Stack:
    """K members that share columns, task, shape, loss, optimizer and schedule kind, batch size and number of training rows.

    A member whose spec has an ensemble is several of the K networks, which are judged, stopped and kept as one.
    A None in `members` is a place that stays empty: what a member learns depends on the stack's size and on its place, never on
    the others. `states` are recovery points to go on from; all members that still train must stand at the same epoch and batch.
    Raises ValueError where members or states do not fit together.
    """

    def __init__(
        self,
        members: Sequence[Member | None],
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        states: Sequence[State | None] | None = None,
        report_seconds: float = 0.25,
    ) -> None:
        places, members = list(members), filled(members)
        self._seating = seating = Seating(members)
        check(seating.networks)
        self._members, self._report_seconds = members, min(report_seconds, 0.5)
        # Whoever waits for a first epoch gets it at once; the pauses between reports double from there.
        self._patience = min(_FIRST_REPORT_SECONDS, self._report_seconds)
        self._like, self._layout = torch.empty(0, dtype=dtype, device=device), Layout(members[0].spec)
        self._training = _training(seating, self._layout, self._like)
        self._progress = [Progress(member.spec, position=i, validated=is_validated(member)) for i, member in enumerate(members)]
        self._calibration = Calibration(seating, self._layout, like=self._like)
        self._ledger = Ledger(self._training, self._progress, seating, self._layout, like=self._like)
        self._place, self._deciding = Place(), False
        self._keeper = Keeper(seating, self._training, self._progress, self._ledger, place=self._place)
        self._resumed, self._stamps = perf_counter(), list[float]()
        for position in [position for position, member in enumerate(places) if member is None]:
            self.leave(position)
        self._restore(states or [None] * len(members))

    def train(self) -> Iterator[list[MemberReport]]:
        """Train until every member has ended; yields what is new soon, then each `report_seconds`, at most 0.5, and last."""
        work = self._work()
        while True:
            # Not around the yield: the caller's code must not run in a mode of ours.
            with self._without_gradients():
                going = bool(self._live()) and self._until_due(work) and bool(self._live())
                self._settle()
            yield [report for progress in self._progress if (report := progress.report()) is not None]
            if not going:
                return

    def stop(self, position: int, reason: StopReason, message: str | None = None) -> None:
        """End a member at once with the weights of its last finished epoch; the others go on untouched."""
        if self._progress[position].finished is None:
            state, vector = self._keeper.state(position), self._keeper.vector(position, "last")
            self._progress[position].finish(reason, message)
            self._keeper.end(position, vector, state)

    def leave(self, position: int) -> None:
        """Drop a member without a word: it trains elsewhere or later; the others go on untouched."""
        self._progress[position].leave()
        self._training.bury(self._seating.seats[position])

    @property
    def spoiled(self) -> bool:
        """Another stack had better train in another process; this one goes on."""
        return self._training.spoiled

    def recovery_state(self, position: int) -> State:
        """All that a member needs to go on from here to the same bits; valid while `train` is suspended at a yield.

        Of a member that ended: from its last weights, with the optimizer's moments where they are of that same epoch.
        """
        return self._keeper.state(position)

    def weights(self, position: int, which: Which) -> Weights:
        """By the names and shapes of the equivalent nn.Sequential's state_dict; `best` is `last` before the first epoch."""
        return self._keeper.weights(position, which)

    def exported(self, position: int, which: Which) -> Exported:
        """The same as they are served: calibrated where the spec says so."""
        with self._without_gradients():
            return self._exported(position, self._keeper.vector(position, which), self._epoch(position, which))

    def _exported(self, position: int, vector: Tensor, epoch: int) -> Exported:
        served = self._calibration.served(position, vector, epoch=epoch)
        temperature = self._calibration.temperature(position, vector, epoch=epoch)
        return Exported(self._keeper.named(position, served, epoch), temperature)

    def _epoch(self, position: int, which: Which) -> int:
        progress = self._progress[position]
        losses = (which == "best" and progress.best) or progress.last
        return losses.epoch if losses else 0

    def evaluate(self, position: int, part: Split, which: Which) -> tuple[float, dict[str, float]]:
        """Loss in reported units and all metrics of a split, by the weights as they are served.

        Raises ValueError: the member has no such rows.
        Raises LossFailed: its custom loss failed.
        """
        member = self._members[position]
        with self._without_gradients():
            vector, epoch = self._keeper.vector(position, which), self._epoch(position, which)
            scores = self._scores(position, part, vector, epoch)
        if member.custom_loss and member.custom_loss.failure:
            raise member.custom_loss.failure
        return scores

    def _scores(self, position: int, part: Split, vector: Tensor, epoch: int) -> tuple[float, dict[str, float]]:
        judge = of_member(self._seating, position, part, self._layout, like=self._like)
        served = self._calibration.served(position, vector, epoch=epoch)
        finished(judge.run(served.view(-1, 1, self._layout.total), [of_task(self._members[position].spec.task)]))
        [(loss, metrics)] = judge.scores.fetched()
        return float(loss[0]), {name: float(value[0]) for name, value in metrics.items()}

    def _without_gradients(self) -> AbstractContextManager[object]:
        """What autograd needs later must not be made in inference mode, not even by a custom loss for itself."""
        return torch.inference_mode() if self._training.by_hand else torch.no_grad()

    def _work(self) -> Iterator[None]:
        """Steps, epochs and decisions; pauses after each step, and within an evaluation that takes long."""
        tape, place, leapt = self._training.tape, self._place, 0
        while live := self._live():
            full = place.epoch - place.epoch % tape.epochs + tape.epochs
            last = min(full, max(self._members[i].spec.epochs for i in live))
            while place.epoch < last:
                # Of an epoch that was trained and not judged before a crash only the judging is left.
                leapt = 0 if place.batch else self._training.leap(place.epoch + 1, last)
                if leapt:
                    place.epoch += leapt
                    self._stamps += [self._now()] * leapt
                else:
                    yield from self._steps(place.epoch + 1)
                    place.epoch, place.batch = place.epoch + 1, 0
                    self._stamps.append(self._now())
            if tape.epochs == 1:
                yield from self._decide()
            else:
                finished(self._decide())
            if place.epoch == full:
                tape.turn()
            if leapt:
                yield

    def _steps(self, epoch: int) -> Iterator[None]:
        training, place, window = self._training, self._place, self._training.batches.window
        steps = training.batches.steps
        training.begin(epoch, place.batch)
        while place.batch < steps:
            place.batch += training.step(epoch, place.batch)
            if window < steps and (place.batch % window == 0 or place.batch == steps):
                self._ledger.drain(place.batch)
            yield

    def _decide(self) -> Iterator[None]:
        """Measure the trained epochs and let every member draw its conclusions."""
        self._deciding, place = True, self._place
        first, epoch = place.decided + 1, place.epoch
        yield from self._ledger.measure(decided=place.decided, epoch=epoch, batch=place.batch)
        stamps = np.array(self._stamps)
        self._stamps.clear()
        self._end_failed()
        if epoch >= first:
            self._judge(first, stamps)
        self._ledger.turn()
        place.decided, self._deciding = epoch, False

    def _judge(self, first: int, stamps: NDArray[np.float64]) -> None:
        """Take what was measured of the epochs from `first` on, which ended at `stamps`."""
        self._count_time()
        judged = list[tuple[int, Block, Verdict]]()
        for position in self._live():
            block = self._ledger.block(position, first=first, seconds=stamps + self._keeper.seconds[position])
            judged.append((position, block, self._progress[position].take(block)))
        self._keeper.improve([(position, first + found.best) for position, _, found in judged if found.best is not None])
        for position, block, verdict in judged:
            self._conclude(position, block, verdict, first)

    def _conclude(self, position: int, block: Block, verdict: Verdict, first: int) -> None:
        progress, keeper = self._progress[position], self._keeper
        for index, losses in verdict.periodic:
            progress.periodic.append(self._kept(position, keeper.after(first + index, position), losses))
        del progress.periodic[: -progress.spec.checkpoints.keep]  # many blocks fit between two reports
        for rates in keeper.rates(position):
            if rates.plateau:  # also after the last epoch: another job may go on from its state
                rates.after_epoch(first, float((block.train if block.val is None else block.val)[0]))
                self._training.coefficients.forget()
        if progress.finished:
            vector = keeper.before(first, position) if verdict.last < 0 else keeper.after(first + verdict.last, position)
            keeper.end(position, vector, keeper.state_after(position, vector, epoch=first + verdict.last))

    def _kept(self, position: int, vector: Tensor, losses: EpochLosses) -> tuple[EpochLosses, Exported]:
        """What a checkpoint of an epoch holds; calibrated, its metrics are those of what is served."""
        exported = self._exported(position, vector, losses.epoch)
        if exported.temperature is None:
            return losses, exported
        _, found = self._scores(position, "validation", vector, losses.epoch)
        return replace(losses, metrics={f"val_{name}": value for name, value in found.items()}), exported

    def _until_due(self, work: Iterator[None]) -> bool:
        """Work until the next report is due; False when there is nothing left to do."""
        self._resumed = perf_counter()
        due = self._resumed + min([self._patience, *(self._time_left(position) for position in self._live())])
        self._patience = min(2 * self._patience, self._report_seconds)
        return any(perf_counter() >= due for _ in work)

    def _settle(self) -> None:
        """Decide what is trained, so that a report holds every finished epoch, and end members whose time is over."""
        if not self._deciding:
            finished(self._decide())
        self._count_time()
        for position in self._live():
            if self._time_left(position) <= 0:
                self.stop(position, StopReason.TIME_LIMIT)

    def _time_left(self, position: int) -> float:
        """Seconds; a member always gets its first epoch, for without one it has nothing to show."""
        limit = self._members[position].spec.max_seconds
        return limit - self._keeper.elapsed(position) if limit and self._place.decided else inf

    def _end_failed(self) -> None:
        """End members whose custom loss failed; nothing that was measured since is theirs."""
        for position in self._live():
            loss = self._members[position].custom_loss
            if loss is not None and loss.failure is not None:
                self.stop(position, StopReason.INVALID_LOSS, str(loss.failure))

    def _count_time(self) -> None:
        """What a member ends with, or goes on from, is no earlier than its last epoch."""
        self._place.seconds, self._resumed = self._now(), perf_counter()

    def _now(self) -> float:
        return self._place.seconds + perf_counter() - self._resumed

    def _live(self) -> list[int]:
        return [progress.position for progress in self._progress if progress.finished is None]

    def _restore(self, states: Sequence[State | None]) -> None:
        at = {recovery.position_of(state) for state in states if state is not None}
        if len(at) > 1:
            raise ValueError("Members of a stack go on from one epoch and batch.")
        epoch, batch = at.pop() if at else (0, 0)
        self._place.decided, self._place.epoch, self._place.batch = epoch, epoch, batch
        self._ledger.counted = batch
        for position, state in enumerate(states):
            if state is not None:
                self._keeper.restore(position, state)
            if self._progress[position].finished is None and (reason := self._progress[position].ended()):
                self.stop(position, reason, self._progress[position].told(reason))


def _training(seating: Seating, layout: Layout, like: Tensor) -> Training:
    members, recorder = seating.networks, replay.of(seating.networks, like.device)
    epochs, window = plan(members, layout, limits=tape.ON_GPU if like.is_cuda else tape.ON_CPU)
    if recorder is None:
        in_one_pass = fused.fits(seating.members, like.device)
        return Training(members, layout, epochs=epochs, window=window, like=like, in_one_pass=in_one_pass)
    return Replayed(members, layout, epochs=epochs, window=window, like=like, recorder=recorder)
