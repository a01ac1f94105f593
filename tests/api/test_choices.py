"""Questions that requests share, and choices whose checkpoint goes before it is read."""

import asyncio
from collections.abc import Collection, Mapping
from threading import Event

import pytest

from app.domain.errors import NotFound
from app.services.choices import with_what_is_there
from app.services.questions import Questions


def test_who_comes_while_a_question_is_under_way_shares_the_next_one() -> None:
    asked: list[set[str]] = []
    go_on = Event()

    def ask(keys: Collection[str]) -> Mapping[str, int]:
        asked.append(set(keys))
        assert go_on.wait(10)
        return {key: len(asked) for key in keys if key != "nobody"}

    async def play() -> list[int | None]:
        questions = Questions(ask)
        first = asyncio.create_task(questions.answer("a"))
        while not asked:
            await asyncio.sleep(0)
        others = [asyncio.create_task(questions.answer(key)) for key in ("a", "b", "nobody", "a")]
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(first, *others))

    assert asyncio.run(play()) == [1, 2, 2, None, 2]
    assert asked == [{"a"}, {"a", "b", "nobody"}]


def test_a_question_that_fails_is_told_to_all_who_asked_and_the_next_is_asked_all_the_same() -> None:
    failures = [OSError("away")]

    def ask(keys: Collection[str]) -> Mapping[str, int]:
        if failures:
            raise failures.pop()
        return dict.fromkeys(keys, 1)

    async def play() -> list[int | BaseException | None]:
        questions = Questions(ask)
        both = asyncio.gather(questions.answer("a"), questions.answer("b"), return_exceptions=True)
        failed = await asyncio.wait_for(both, 10)
        return [*failed, await questions.answer("a")]

    first, second, third = asyncio.run(play())
    assert isinstance(first, OSError)
    assert first is second
    assert third == 1


def chosen_from(*choices: str, there: str) -> str:
    """What comes of these choices, one after the other, where a single one can be read."""
    ids = iter(choices)

    async def choose() -> str:
        return next(ids)

    async def read(id: str) -> str:
        if id != there:
            raise NotFound("checkpoint", id)
        return f"with {id}"

    return asyncio.run(with_what_is_there(choose, read))


def test_what_is_gone_before_it_is_read_is_chosen_again() -> None:
    assert chosen_from("a", "b", "c", there="c") == "with c"


def test_what_is_chosen_again_and_still_not_there_is_told() -> None:
    with pytest.raises(NotFound):
        chosen_from("a", "b", "b", there="c")
