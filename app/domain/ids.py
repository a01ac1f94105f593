"""Identifiers: a prefix that names the type, then a UUIDv7, so that text order is creation order."""

import os
import re
import time
from threading import Lock

_ID = re.compile(r"[0-9a-f]{32}")
_lock = Lock()
_last = 0


def _next_tick() -> int:
    """Milliseconds since 1970 in the upper 48 bits and a counter in the lower 12: strictly increasing in one process."""
    global _last
    with _lock:
        _last = max(_last + 1, (time.time_ns() // 1_000_000) << 12)
        return _last


def new_id(prefix: str) -> str:
    """A new id such as `job_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b` (RFC 9562, version 7, as 32 hexadecimal digits)."""
    tick = _next_tick()
    random = int.from_bytes(os.urandom(8)) >> 2
    value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random
    return f"{prefix}_{value:032x}"


def is_id(text: str, prefix: str) -> bool:
    """True for what could be an id of that type."""
    kind, _, digits = text.partition("_")
    return kind == prefix and _ID.fullmatch(digits) is not None
