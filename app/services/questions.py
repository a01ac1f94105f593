"""Questions to the database that requests share: none gets an older answer than itself, a busy process asks once for many."""

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Questions(Generic[K, V]):
    """Used on an event loop. `ask` answers for several keys at once, in a thread that waits behind no other work.

    Requests that come while a question is under way share the next one, so a question begins after all that it answers.
    """

    def __init__(self, ask: Callable[[Collection[K]], Mapping[K, V]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._turn, self._thread = asyncio.Lock(), CapacityLimiter(1)
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, key: K) -> V | None:
        """What `ask` has to say of the key; what it raises is raised here."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append((key, answer))
        if len(self._waiting) == 1:
            task = loop.create_task(self._ask_for_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _ask_for_all(self) -> None:
        async with self._turn:
            waiting, self._waiting = self._waiting, []
            try:
                found = await to_thread.run_sync(self._ask, {key for key, _ in waiting}, limiter=self._thread)
            except Exception as error:  # whatever it is, nobody is to wait for ever
                unanswered = error
                _settle(waiting, lambda _, answer: answer.set_exception(unanswered))
            else:
                _settle(waiting, lambda key, answer: answer.set_result(found.get(key)))


def _settle(
    waiting: Sequence[tuple[K, asyncio.Future[V | None]]], settle: Callable[[K, asyncio.Future[V | None]], None]
) -> None:
    for key, answer in waiting:
        if not answer.done():  # else who asked is gone
            settle(key, answer)
