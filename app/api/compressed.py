"""Answers that go compressed to those who ask for it."""

import zlib

# Less is not worth the time at either end.
LEAST_BYTES = 16 * 1024
_LEVEL = 1
_FRAMES = {"gzip": 31, "deflate": 15}


def encoding_for(accepted: str, size: int) -> str | None:
    """The first of gzip and deflate that `Accept-Encoding` names, for a body of that size; None: as it is."""
    if size < LEAST_BYTES or not accepted:
        return None
    wishes = (part.strip().lower().partition(";") for part in accepted.split(","))
    return next((name for name, _, quality in wishes if name in _FRAMES and quality.strip() not in _NEVER), None)


_NEVER = frozenset({"q=0", "q=0.0", "q=0.00", "q=0.000"})


def compressed(body: bytes, encoding: str) -> bytes:
    """Quickly rather than well."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _FRAMES[encoding])
    return stream.compress(body) + stream.flush()
