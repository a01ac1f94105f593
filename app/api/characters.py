"""Texts of a JSON body that no database can keep: those with a NUL or a lone surrogate."""

from collections.abc import Iterator
from itertools import islice

from app.domain.errors import Fault, Invalid, pointer
from app.domain.faults import MOST_FAULTS

_DETAIL = "The text holds a character that cannot be kept."


def may_be_bad(raw: bytes) -> bool:
    """False for nearly every body, which need not be searched."""
    return b"\\u" in raw


def bad_texts(value: object) -> list[Fault]:
    """Where such texts stand, a hundred at most."""
    return [Fault(pointer(*place), "bad_format", _DETAIL) for place in islice(_places(value), MOST_FAULTS)]


def refuse_bad_texts(value: object) -> None:
    """Invalid with their places."""
    if faults := bad_texts(value):
        raise Invalid(faults)


def _places(value: object, *place: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str) and _is_bad(value):
        yield place
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from [place] if _is_bad(name) else _places(item, *place, name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, *place, number)


def _is_bad(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
