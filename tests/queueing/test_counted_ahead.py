"""Requests counted before they come: how many, for how long, and what is told of them."""

import asyncio
from itertools import count

from app.domain.allowance import Allowance
from app.queueing.counted_ahead import KEPT_SECONDS, PART, CountedAhead
from app.queueing.rates import RedisRates

LIMIT = 8 * PART


class Clock:
    """Stands still but where it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def counted(remaining: int) -> Allowance:
    return Allowance(allowed=True, limit=LIMIT, window=60, remaining=remaining, reset=3)


def used_up(ahead: CountedAhead, *, times: int) -> list[int]:
    """The sizes of so many blocks that are used up at once."""
    sizes = []
    for _ in range(times):
        sizes.append(ahead.size("a"))
        ahead.put("a", counted(0), size=sizes[-1])
        for _ in range(sizes[-1]):
            assert ahead.take("a") is not None
        assert ahead.take("a") is None
    return sizes


def test_a_block_is_twice_as_large_as_the_one_that_was_used_up_and_a_part_of_the_limit_at_most() -> None:
    clock = Clock()
    ahead = CountedAhead(LIMIT, clock=clock)

    assert used_up(ahead, times=5) == [1, 2, 4, 8, 8]
    assert ahead.size("b") == 1
    clock.now = KEPT_SECONDS
    assert ahead.size("a") == 1


def test_what_is_not_used_in_time_is_lost() -> None:
    clock = Clock()
    ahead = CountedAhead(LIMIT, clock=clock)
    ahead.put("a", counted(90), size=8)

    first = ahead.take("a")
    clock.now = KEPT_SECONDS

    assert first is not None
    assert (first.remaining, first.limit) == (97, LIMIT)
    assert not ahead.has("a")
    assert ahead.take("a") is None
    assert ahead.size("a") == 1


def test_a_small_limit_is_counted_one_by_one() -> None:
    assert used_up(CountedAhead(PART), times=3) == [1, 1, 1]


def test_two_processes_let_in_as_many_as_the_limit_says(valkey_url: str) -> None:
    allowed, remaining = asyncio.run(exhausted(valkey_url))

    most_lost = 2 * LIMIT // PART
    assert LIMIT - most_lost <= allowed <= LIMIT
    assert min(remaining) == 0
    assert max(remaining) == LIMIT - 1


async def exhausted(url: str) -> tuple[int, list[int]]:
    """How many were let in until both refuse, of one process after the other; and what they told of the rest."""
    rates = [RedisRates(url, per_minute=LIMIT) for _ in range(2)]
    remaining: list[int] = []
    refused = 0
    for number in count():
        allowance = await rates[number % 2].take("a")
        assert allowance is not None
        refused = 0 if allowance.allowed else refused + 1
        if refused == 2:
            break
        remaining += [allowance.remaining] if allowance.allowed else []
    for one in rates:
        await one.close()
    return len(remaining), remaining


def test_requests_at_once_share_what_one_of_them_counts(valkey_url: str) -> None:
    async def together() -> list[int]:
        rates = RedisRates(valkey_url, per_minute=LIMIT)
        one_by_one = [await rates.take("a") for _ in range(7)]
        at_once = await asyncio.gather(*(rates.take("a") for _ in range(40)))
        await rates.close()
        return [one.remaining for one in [*one_by_one, *at_once] if one]

    remaining = asyncio.run(together())

    assert sorted(remaining, reverse=True) == list(range(LIMIT - 1, LIMIT - 48, -1))


def test_who_is_refused_waits_for_nobody_else(valkey_url: str) -> None:
    """One that never comes back holds the place of those that count for others."""

    async def refused() -> list[bool]:
        rates = RedisRates(valkey_url, per_minute=LIMIT)
        while (last := await rates.take("a")) is not None and last.allowed:
            pass
        lock = rates._asking["a"]
        await lock.acquire()
        found = await asyncio.gather(*(rates.take("a") for _ in range(5)))
        await rates.close()
        return [one is not None and one.allowed for one in found]

    assert asyncio.run(refused()) == [False] * 5
