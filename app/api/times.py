"""Times in a query, compared as the API tells times: in whole milliseconds."""

import re
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


def _checked(text: str) -> str:
    if not _RFC3339.fullmatch(text):
        detail = "It must be a time as 2026-11-23T03:22:00.123Z; a plus sign is written %2B in a query."
        raise PydanticCustomError("bad_format", detail)
    return text


Instant = Annotated[AwareDatetime, BeforeValidator(_checked)]


def last_told_as(time: datetime) -> datetime:
    """The last moment that is told as this one, or as one before it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000 + 999)


def first_told_as(time: datetime) -> datetime:
    """The first moment that is told as this one, or as one after it; the end of all times has none after it."""
    last = last_told_as(time)
    return time if time.microsecond % 1000 == 0 or last == datetime.max.replace(tzinfo=time.tzinfo) else last + _MICROSECOND
