"""The Range header (RFC 9110): one range of bytes; several, or what cannot be read, mean the whole file."""

import re

from app.api.http_errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def part_of(header: str | None, size: int) -> range:
    """The places of the bytes that were asked for; RangeNotSatisfiable where there are none."""
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return range(size)
    first, last = match[1], match[2]
    if not first:
        part = range(max(0, size - int(last)), size)
    else:
        part = range(int(first), min(size, int(last) + 1) if last else size)
        if last and int(last) < int(first):
            return range(size)
    if not part:
        raise RangeNotSatisfiable(size)
    return part
