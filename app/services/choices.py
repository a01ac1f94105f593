"""Which checkpoint a prediction uses: of a job the best by default, and while it trains the newest; of a model a version's."""

from collections.abc import Awaitable, Callable, Collection, Hashable
from contextlib import suppress
from typing import TypeVar

from app.domain.caller import Caller
from app.domain.errors import Conflict, NotFound
from app.domain.models import DEFAULT
from app.persistence import choices
from app.persistence.choices import Candidate, Candidates, Served
from app.persistence.database import Database
from app.services.questions import Questions

_Job = tuple[str, str]
_Version = tuple[str, str, str]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A = TypeVar("A")


class Choices:
    """Used on the event loop only.

    Asked of the database for every prediction: none uses what was deleted, or what an alias was moved from, before it came.
    """

    def __init__(self, database: Database) -> None:
        self._about_jobs, self._about_models = database.keep_open(), database.keep_open()
        self._jobs, self._versions = Questions(self._of_jobs), Questions(self._of_models)

    async def choose(self, caller: Caller, job_id: str, which: str) -> str:
        """The id of the job's checkpoint; NotFound, or Conflict where the job has none yet."""
        found = await self._jobs.answer((caller.project_id, job_id))
        if found is None:
            raise NotFound("job", job_id)
        return chosen_of(job_id, found, which).id

    async def version(self, caller: Caller, model: str, which: str) -> Served:
        """The version of the model that `which`, a number or an alias, stands for now; NotFound."""
        found = await self._versions.answer((caller.project_id, model, which))
        if found is None:
            raise NotFound("model", model)
        if not found:
            raise NotFound(f"version or alias of model {model}:", which)
        return found[0]

    async def default(self, caller: Caller, model: str) -> Served:
        """The version that the model predicts with where none is named; NotFound, or Conflict where it has none."""
        found = await self._versions.answer((caller.project_id, model, DEFAULT))
        if found is None:
            raise NotFound("model", model)
        if not found:
            raise Conflict(f"The model has no alias `{DEFAULT}`: register a version, or move the alias to one.")
        return found[0]

    def _of_jobs(self, keys: Collection[_Job]) -> dict[_Job, Candidates]:
        return self._about_jobs.ask(lambda on: _each(keys, lambda key: choices.of_job(on, key[1], project_id=key[0])))

    def _of_models(self, keys: Collection[_Version]) -> dict[_Version, list[Served]]:
        return self._about_models.ask(
            lambda on: _each(keys, lambda key: choices.of_model(on, key[1], key[2], project_id=key[0]))
        )


def _each(keys: Collection[K], find: Callable[[K], V | None]) -> dict[K, V]:
    return {key: found for key in keys if (found := find(key)) is not None}


async def with_what_is_there(choose: Callable[[], Awaitable[V]], use: Callable[[V], Awaitable[A]]) -> tuple[V, A]:
    """What was chosen, and what came of it; chosen again as long as it was deleted before it could be read."""
    before, chosen = None, await choose()
    while chosen != before:
        with suppress(NotFound):
            return chosen, await use(chosen)
        before, chosen = chosen, await choose()
    return chosen, await use(chosen)


def chosen_of(job_id: str, job: Candidates, which: str) -> Candidate:
    """That which is asked for of a job's; NotFound, or Conflict where it has none yet."""
    found = job.checkpoints
    if which not in ("best", "last"):
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
