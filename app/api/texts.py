"""Texts of a JSON body that no database can keep: NUL and lone surrogates are refused where they stand."""

from collections.abc import Iterator
from itertools import islice

from fastapi import Depends, Request

from app.domain.errors import Fault, Invalid, pointer
from app.domain.faults import MOST_FAULTS


async def check_texts(request: Request) -> None:
    """Refuse a JSON body with such a text."""
    raw = await request.body()
    if may_be_bad(raw):
        refuse_bad_texts(await request.json())


def may_be_bad(raw: bytes) -> bool:
    """False for nearly every body, which need not be searched."""
    return b"\\u" in raw


def refuse_bad_texts(value: object) -> None:
    """Invalid with the places of such texts, a hundred at most."""
    detail = "The text holds a character that cannot be kept."
    if faults := [Fault(pointer(*place), "bad_format", detail) for place in islice(_bad_texts(value), MOST_FAULTS)]:
        raise Invalid(faults)


CheckedText = Depends(check_texts)


def _bad_texts(value: object, *place: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str) and _is_bad(value):
        yield place
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from [place] if _is_bad(name) else _bad_texts(item, *place, name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _bad_texts(item, *place, number)


def _is_bad(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
