"""Evaluations within their limits of rows, time and number; a dataset that goes meanwhile; checkpoints of older versions."""

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from app.domain.caller import Caller
from app.domain.errors import NotFound, TooLarge, Unavailable
from app.domain.manifest import MANIFEST
from app.domain.quota import Quota
from app.services.checkpoints import Checkpoints
from app.services.choices import Choices
from app.services.datasets import Datasets
from app.services.deadline import Deadline
from app.services.evaluations import AT_ONCE, EvaluationAnswer, Evaluations, Question
from app.services.ports import CheckpointFiles
from app.services.quotas import Quotas
from app.tabular.limits import Limits
from tests.evaluation.yard import Yard, frame

SPEC: dict[str, Any] = {"target": "level", "task": "multiclass", "epochs": 1}


def datasets(yard: Yard) -> Datasets:
    folder = yard.service.settings.folder / "tmp"
    return Datasets(yard.service.database, yard.storage, folder=folder, limits=Limits(), quotas=Quotas(Quota()))


def evaluations(yard: Yard, files: CheckpointFiles, *, seconds: float = 60, most_rows: int = 10**6, **more: int) -> Evaluations:
    choices = Choices(yard.service.database)
    return Evaluations(datasets(yard), choices, files, seconds=seconds, most_rows=most_rows, **more)


@pytest.fixture(scope="module")
def question(yard: Yard) -> Question:
    """One that can be answered."""
    rows = yard.upload(frame(60))
    return Question(job=yard.train(dataset=rows, **SPEC)["id"], checkpoint="best", dataset=rows)


class Files(Checkpoints):
    """The files of checkpoints as they are stored."""

    def __init__(self, yard: Yard) -> None:
        super().__init__(yard.service.database, yard.storage)


def answered(yard: Yard, question: Question, *, files: CheckpointFiles | None = None, **limits: Any) -> EvaluationAnswer:
    asked = evaluations(yard, files or Files(yard), **limits)
    return asyncio.run(asked.evaluate_soon(Caller(), question))


def test_a_dataset_of_more_rows_than_may_be_is_too_large(yard: Yard, question: Question) -> None:
    assert answered(yard, question, most_rows=60).rows == 60
    with pytest.raises(TooLarge, match="has 60 rows; one evaluation takes at most 59"):
        answered(yard, question, most_rows=59)


def test_what_gives_more_probabilities_than_may_be_is_too_large(yard: Yard, question: Question) -> None:
    assert answered(yard, question, most_numbers=240).rows == 60
    with pytest.raises(TooLarge, match="240 probabilities; one evaluation takes at most 239: use fewer rows"):
        answered(yard, question, most_numbers=239)


class Late(Files):
    """A checkpoint that is replaced between the choice and the first look at it."""

    def __init__(self, yard: Yard) -> None:
        super().__init__(yard)
        self.missed = False

    def read(self, checkpoint_id: str, name: str) -> bytes:
        if not self.missed:
            self.missed = True
            raise NotFound("file of checkpoint", checkpoint_id)
        return super().read(checkpoint_id, name)


def test_a_checkpoint_that_is_replaced_meanwhile_is_chosen_again(yard: Yard, question: Question) -> None:
    late = Late(yard)

    assert answered(yard, question, files=late).rows == 60
    assert late.missed


def test_an_evaluation_ends_with_its_time(yard: Yard, question: Question) -> None:
    [checkpoint] = yard.service.get(f"/v1/jobs/{question.job}/checkpoints")["data"]
    asked = evaluations(yard, Files(yard))
    read = asked.read(checkpoint["id"])

    with pytest.raises(TooLarge, match="may take 60 s and this one takes longer"):
        asked.evaluate(Caller(), question, checkpoint=read, deadline=Deadline(0))
    assert list((yard.service.settings.folder / "tmp").glob("held-*")) == []


class Gated(Files):
    """Reads nothing before the gate is open."""

    def __init__(self, yard: Yard) -> None:
        super().__init__(yard)
        self.gate, self.asked = threading.Event(), threading.Semaphore(0)

    def read(self, id: str, name: str) -> bytes:
        """See Checkpoints."""
        self.asked.release()
        assert self.gate.wait(30)
        return super().read(id, name)


def test_no_more_run_at_once_than_may_and_others_are_told_to_come_again_or_what_is_not_there(
    yard: Yard, question: Question
) -> None:
    files = Gated(yard)
    asked = evaluations(yard, files, seconds=0.5)

    async def ask_all() -> Sequence[EvaluationAnswer | BaseException]:
        first = [asyncio.create_task(asked.evaluate_soon(Caller(), question)) for _ in range(AT_ONCE)]
        for _ in first:
            assert await asyncio.to_thread(files.asked.acquire, timeout=20)
        late = [question, question, replace(question, job="job_none")]
        others = await asyncio.gather(*(asked.evaluate_soon(Caller(), one) for one in late), return_exceptions=True)
        files.gate.set()
        await asyncio.wait(first)
        return others

    refused = asyncio.run(ask_all())

    assert [type(error) for error in refused] == [Unavailable, Unavailable, NotFound]
    assert answered(yard, question).rows == 60


@pytest.mark.parametrize("linked", [True, False], ids=["a link", "a copy"])
def test_a_dataset_that_is_deleted_while_it_is_read_is_read_to_its_end(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    if not linked:
        monkeypatch.setattr(os, "link", _refuse)
    kept = datasets(yard)
    row = kept.find(Caller(), yard.upload(frame(30)))

    with kept.held(row) as path:
        kept.delete(Caller(), row.id)
        assert len(pl.read_parquet(path)) == 30

    assert not path.exists()
    with pytest.raises(NotFound), kept.held(row):
        pass


def _refuse(*_: object, **__: object) -> None:
    raise OSError(18, "another disk")


class Older(Files):
    """As an older version wrote them: without the weights of classes."""

    def read(self, id: str, name: str) -> bytes:
        """See Checkpoints."""
        data = super().read(id, name)
        if name != MANIFEST:
            return data
        manifest = json.loads(data)
        assert manifest.pop("class_weights")
        return json.dumps(manifest).encode()


@pytest.mark.parametrize(("weights", "known"), [({"0": 4.0}, True), ("balanced", False)], ids=["given", "balanced"])
def test_a_checkpoint_of_an_older_version_says_what_it_can(yard: Yard, weights: object, known: bool) -> None:
    rows = yard.upload(frame(60))
    job = yard.train(dataset=rows, class_weights=weights, **SPEC)["id"]
    question = Question(job=job, checkpoint="best", dataset=rows)

    old, new = answered(yard, question, files=Older(yard)), answered(yard, question)

    assert (old.loss, old.metrics == new.metrics) == (new.loss if known else None, known)
    assert [warning.code for warning in old.warnings if warning.count is None] == ([] if known else ["class_weights_unknown"])
    assert new.loss is not None
