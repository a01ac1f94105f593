"""Evaluations: the loss and the metrics of a checkpoint on any dataset, computed while the caller waits."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal

from anyio import CapacityLimiter, fail_after, to_thread

from app.domain.caller import Caller
from app.domain.errors import Fault, Invalid, TooLarge, Unavailable
from app.domain.faults import MOST_FAULTS
from app.domain.manifest import MANIFEST, ONNX, Manifest
from app.domain.numbers import JsonNumber
from app.domain.reading import reading_of
from app.domain.schema import Column
from app.persistence.rows import DatasetRow
from app.services.choices import Choices, with_what_is_there
from app.services.datasets import Datasets
from app.services.deadline import Deadline
from app.services.ports import CheckpointFiles
from app.services.room import room_for
from app.services.scoring import EvaluationWarning, Scoring
from app.serving.logits import Logits
from app.tabular.row_groups import row_groups

# More of them would take cores, and threads, from predictions.
AT_ONCE = 2
# All of them are kept on disk until the last row is known: 0.4 GB, or 0.8 of an fp64 job.
MOST_NUMBERS = 100_000_000


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which checkpoint of which job (`best`, `last` or its id), on which dataset."""

    job: str
    checkpoint: str
    dataset: str


@dataclass(frozen=True, kw_only=True)
class EvaluationAnswer:
    """What an evaluation answers; `rows` are those with a target."""

    job: str
    checkpoint: str
    epoch: int
    dataset: str
    rows: int
    loss: JsonNumber
    metrics: Mapping[str, JsonNumber]
    warnings: Sequence[EvaluationWarning]
    object: Literal["evaluation"] = "evaluation"


@dataclass(frozen=True)
class Read:
    """A checkpoint's id and what was read of it: later it may be gone."""

    id: str
    manifest: Manifest
    onnx: bytes


class Evaluations:
    """Stores nothing.

    `seconds` is how long one may take, its wait for a turn included; `most_rows` what a dataset may have, `most_numbers` how
    many probabilities may come of it.
    """

    def __init__(
        self,
        datasets: Datasets,
        choices: Choices,
        files: CheckpointFiles,
        *,
        seconds: float,
        most_rows: int,
        most_numbers: int = MOST_NUMBERS,
    ) -> None:
        self._datasets, self._choices, self._files = datasets, choices, files
        self._seconds, self._most_rows, self._most_numbers = seconds, most_rows, most_numbers
        self._turns = CapacityLimiter(AT_ONCE)

    async def evaluate_soon(self, caller: Caller, question: Question) -> EvaluationAnswer:
        """For an event loop: in a thread, and not too many at once.

        Raises:
            NotFound: no such job, checkpoint or dataset.
            Conflict: the job has no checkpoint yet.
            Invalid: the dataset is not as the job reads it.
            TooLarge: it has too many rows, or takes too long.
            Unavailable: others took too long.

        """
        deadline = Deadline(self._seconds)
        choose = partial(self._choices.choose, caller, question.job, question.checkpoint)
        await choose()  # what is not there is told at once
        await to_thread.run_sync(self._datasets.find, caller, question.dataset)
        async with self._turn(deadline):
            # A job that trains may have a better one by now, and that one no more.
            read = await with_what_is_there(choose, lambda chosen: to_thread.run_sync(self.read, chosen))
            return await to_thread.run_sync(partial(self.evaluate, caller, question, checkpoint=read, deadline=deadline))

    @asynccontextmanager
    async def _turn(self, deadline: Deadline) -> AsyncIterator[None]:
        try:
            with fail_after(deadline.left):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("Too many evaluations are under way.") from None
        try:
            yield
        finally:
            self._turns.release()

    def read(self, checkpoint: str) -> Read:
        """A checkpoint's files; NotFound where it is gone."""
        manifest = Manifest.model_validate_json(self._files.read(checkpoint, MANIFEST))
        return Read(checkpoint, manifest, self._files.read(checkpoint, ONNX))

    def evaluate(self, caller: Caller, question: Question, *, checkpoint: Read, deadline: Deadline) -> EvaluationAnswer:
        """The answer of the checkpoint that was chosen; raises as above."""
        dataset, manifest = self._datasets.find(caller, question.dataset), checkpoint.manifest
        self._check(dataset, manifest)
        scoring = self._scored(dataset, checkpoint, deadline)
        return EvaluationAnswer(
            job=question.job,
            checkpoint=checkpoint.id,
            epoch=manifest.epoch,
            dataset=dataset.id,
            rows=scoring.rows,
            loss=scoring.loss(),
            metrics=scoring.metrics(),
            warnings=list(scoring.warnings()),
        )

    def _check(self, dataset: DatasetRow, manifest: Manifest) -> None:
        if dataset.rows > self._most_rows:
            raise TooLarge(f"The dataset has {dataset.rows} rows; one evaluation takes at most {self._most_rows}.")
        numbers = dataset.rows * manifest.spec.layers[-1]
        if manifest.output in ("softmax", "sigmoid") and numbers > self._most_numbers:
            raise TooLarge(
                f"These are {numbers} probabilities; one evaluation takes at most {self._most_numbers}: use fewer rows."
            )
        flaws = reading_of(manifest).flaws([Column.model_validate(column) for column in dataset.columns])
        told = islice(flaws, MOST_FAULTS)
        if faults := [
            Fault("/dataset", "invalid", f"Column {name!r} of the dataset {dataset.id} {flaw}") for name, flaw in told
        ]:
            raise Invalid(faults)

    def _scored(self, dataset: DatasetRow, checkpoint: Read, deadline: Deadline) -> Scoring:
        def alive() -> None:
            if not deadline.left:
                raise TooLarge(f"One evaluation may take {self._seconds:g} s and this one takes longer: use fewer rows.")

        logits = Logits(checkpoint.onnx, checkpoint.manifest)
        with room_for("an evaluation"), self._datasets.held(dataset) as path:
            scoring = Scoring(checkpoint.manifest, logits, rows=dataset.rows, alive=alive, folder=path.parent)
            for rows in row_groups(path, scoring.columns):
                scoring.add(rows)
        scoring.check()
        return scoring
