"""The values of a sweep's trials: every combination, or some drawn at random, which a seed decides."""

import math
from collections.abc import Iterator, Mapping
from itertools import product
from random import Random

from pydantic import JsonValue

from app.domain.sweep_search import Choice, Distribution, Finite, Range

Values = dict[str, JsonValue]

# A float of 53 bits tells so many places apart; among more than that two trials are never alike anyway.
MOST_PLACES = 2**53


def grid(search: Mapping[str, Finite]) -> Iterator[Values]:
    """Every combination; the last path varies quickest."""
    columns = [[found.at(place) for place in range(found.size)] for found in search.values()]
    for combination in product(*columns):
        yield dict(zip(search, combination, strict=True))


def grid_size(search: Mapping[str, Finite]) -> int:
    """How many combinations there are."""
    return math.prod(found.size for found in search.values())


def finite(search: Mapping[str, Distribution]) -> dict[str, Finite]:
    """The paths whose values can be counted."""
    return {path: found for path, found in search.items() if isinstance(found, Choice | Range)}


def drawn(search: Mapping[str, Distribution], *, trials: int, seed: int) -> Iterator[Values]:
    """So many combinations at random; where they can be counted each at most once, so there may be fewer than asked for.

    The seed decides them whatever the order of the paths, for a JSON object has none. Only `Random.random` is used: its
    sequence is the same in every version of Python.
    """
    for values in _drawn(dict(sorted(search.items())), trials=trials, random=Random(seed)):  # noqa: S311  # no secret
        yield {path: values[path] for path in search}


def _drawn(search: Mapping[str, Distribution], *, trials: int, random: Random) -> Iterator[Values]:
    countable = finite(search)
    if len(countable) < len(search) or grid_size(countable) > MOST_PLACES:
        return ({path: found.draw(random.random()) for path, found in search.items()} for _ in range(trials))
    places = _places(grid_size(countable), trials=trials, random=random)
    return (_combination(countable, place) for place in places)


def _places(size: int, *, trials: int, random: Random) -> Iterator[int]:
    """The beginning of a shuffled range(size): Fisher and Yates, with only the moved places in memory."""
    moved: dict[int, int] = {}
    for first in range(min(trials, size)):
        chosen = first + int(random.random() * (size - first))
        yield moved.get(chosen, chosen)
        moved[chosen] = moved.get(first, first)


def _combination(search: Mapping[str, Finite], place: int) -> Values:
    values: Values = {}
    for path, found in search.items():
        place, here = divmod(place, found.size)
        values[path] = found.at(here)
    return values
