"""What stands for the thing that a caller predicts with: a checkpoint of a job, or of the version that a model's name means."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple, TypeVar

from anyio import to_thread

from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.domain.ids import is_id
from app.domain.models import DEFAULT
from app.persistence import choices
from app.persistence.choices import Candidate, Candidates, Version
from app.persistence.database import Database
from app.services.predictions import Served
from app.services.questions import Questions
from app.services.unchanged import Unchanged

BEST, LAST = "best", "last"

_Job = tuple[str, str]
_Version = tuple[str, str, str]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A = TypeVar("A")


class Thing(NamedTuple):
    """What a path names; `which` is a job's choice among its checkpoints, or a model's version or alias, or not said."""

    kind: Literal["job", "checkpoint", "model"]
    name: str
    which: str = ""

    @classmethod
    def named(cls, name: str, version: str = "") -> "Thing":
        """By the one name of the Open Inference Protocol: a job's id, whose versions are its checkpoints, or a model's."""
        return cls("job", name, version or BEST) if is_id(name, "job") else cls("model", name, version)


class Choices:
    """Used on the event loop only.

    Asked of the database for every prediction, or known to be unchanged there: none uses what was deleted, or what an alias was
    moved from, before it came.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._about_jobs, self._about_models, self._about_checkpoints = (database.keep_open() for _ in range(3))
        self._jobs, self._versions = Questions(self._of_jobs), Questions(self._of_models)
        self._checkpoints = Questions(self._there)
        self._known: Unchanged[tuple[str, Thing], Served] = Unchanged(database.changes.mark)

    async def served(self, caller: Caller, thing: Thing) -> Served:
        """What stands for the thing now; NotFound, or Conflict where a job has no checkpoint, or a model no version, yet."""
        key = (caller.project_id, thing)
        mark, served = self._known.look(key)
        if served is None:
            served = await self._found(caller, thing)
            self._known.keep(key, served, mark)
        return served

    def known(self, caller: Caller, thing: Thing) -> Served | None:
        """As `served`, without any waiting; None where the database has to be asked."""
        return self._known.look((caller.project_id, thing))[1]

    async def _found(self, caller: Caller, thing: Thing) -> Served:
        if thing.kind == "job":
            return Served(await self.choose(caller, thing.name, thing.which))
        if thing.kind == "model":
            version = await self.version(caller, thing.name, thing.which)
            return Served(version.checkpoint_id, thing.name, version.number)
        if not await self._checkpoints.answer((caller.project_id, thing.name)):
            raise NotFound("checkpoint", thing.name)
        return Served(thing.name)

    async def choose(self, caller: Caller, job_id: str, which: str) -> str:
        """The id of the job's checkpoint; NotFound, or Conflict where the job has none yet."""
        found = await self._jobs.answer((caller.project_id, job_id))
        if found is None:
            raise NotFound("job", job_id)
        return chosen_of(job_id, found, which).id

    async def version(self, caller: Caller, model: str, which: str) -> Version:
        """The version of the model that `which`, a number or an alias, stands for now; NotFound.

        Without a word it is the alias `default`, and Conflict where there is none.
        """
        found = await self._versions.answer((caller.project_id, model, which or DEFAULT))
        if found is None:
            raise NotFound("model", model)
        if not found and not which:
            raise Conflict(f"The model has no alias `{DEFAULT}`: register a version, or move the alias to one.")
        if not found:
            raise NotFound(f"version or alias of model {model}:", which)
        return found[0]

    async def numbers(self, caller: Caller, thing: Thing) -> Sequence[str]:
        """What the versions of a job or a model are called: its checkpoints' ids, or numbers; the oldest first."""
        return await to_thread.run_sync(self._numbers, caller.project_id, thing)

    def _numbers(self, project_id: str, thing: Thing) -> Sequence[str]:
        with self._database.read() as connection:
            if thing.kind == "model":
                return choices.numbers_of_model(connection, thing.name, project_id=project_id)
            job = choices.of_job(connection, thing.name, project_id=project_id)
        return [candidate.id for candidate in job.checkpoints] if job else []

    def _of_jobs(self, keys: Collection[_Job]) -> dict[_Job, Candidates]:
        return self._about_jobs.ask(lambda on: _each(keys, lambda key: choices.of_job(on, key[1], project_id=key[0])))

    def _of_models(self, keys: Collection[_Version]) -> dict[_Version, list[Version]]:
        return self._about_models.ask(
            lambda on: _each(keys, lambda key: choices.of_model(on, key[1], key[2], project_id=key[0]))
        )

    def _there(self, keys: Collection[_Job]) -> dict[_Job, bool]:
        return self._about_checkpoints.ask(lambda on: {key: choices.is_there(on, key[1], project_id=key[0]) for key in keys})


def _each(keys: Collection[K], find: Callable[[K], V | None]) -> dict[K, V]:
    return {key: found for key in keys if (found := find(key)) is not None}


async def with_what_is_there(choose: Callable[[], Awaitable[V]], use: Callable[[V], Awaitable[A]]) -> A:
    """What came of what was chosen; chosen again as long as it was deleted before it could be read."""
    before, chosen = None, await choose()
    while chosen != before:
        with suppress(NotFound):
            return await use(chosen)
        before, chosen = chosen, await choose()
    return await use(chosen)


def chosen_of(job_id: str, job: Candidates, which: str) -> Candidate:
    """That which is asked for of a job's; NotFound, or Conflict where it has none yet."""
    found = job.checkpoints
    if which not in (BEST, LAST):
        named = [candidate for candidate in found if candidate.id == which]
        if not named:
            raise NotFound(f"checkpoint of job {job_id}:", which)
        return named[0]
    if not found:
        yet = (
            "kept no checkpoint"
            if job.status.terminal
            else "has no checkpoint yet; the first comes with its first recovery point, or at its end"
        )
        raise Conflict(f"The job is {job.status} and {yet}.")
    return next((candidate for candidate in reversed(found) if which in candidate.kinds), found[-1])
