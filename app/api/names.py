"""Names that stand twice in one object of a JSON body: a reader would see the last of them alone."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from app.domain.errors import Fault, Unparsable, pointer
from app.domain.faults import MOST_FAULTS

_DETAIL = "The name stands more than once in one object."


class Names:
    """What was met while one body was parsed; `once_each` is the `object_pairs_hook`."""

    def __init__(self) -> None:
        self._has_doubled = False

    def once_each(self, pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        """An object, which remembers its names that stand twice."""
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self._has_doubled = True
        return _Doubled(pairs)

    def faults(self, body: object) -> list[Fault]:
        """Where they stand, a hundred at most; of an object that is hidden by its own name's twin, where that stands."""
        places = _places(body) if self._has_doubled else ()
        return [Fault(pointer(*place), "twice", _DETAIL) for place in islice(places, MOST_FAULTS)]


class _Doubled(dict[str, object]):
    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.names = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def doubled_names(raw: bytes) -> list[Fault]:
    """Of a JSON body as it came; what is none, or empty, is the models' to refuse."""
    names = Names()
    try:
        return names.faults(json.loads(raw, object_pairs_hook=names.once_each))
    except RecursionError:
        raise Unparsable("The body is nested too deeply.") from None
    except ValueError:
        return []


def _places(body: object) -> Iterator[tuple[str | int, ...]]:
    left: list[tuple[tuple[str | int, ...], object]] = [((), body)]
    while left:
        place, value = left.pop()
        if isinstance(value, _Doubled):
            yield from ((*place, name) for name in value.names)
        left += reversed([((*place, step), item) for step, item in _members(value)])


def _members(value: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
