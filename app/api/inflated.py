"""Bodies that came compressed, inflated up to the limit of a body."""

import zlib

from app.domain.errors import TooLarge, Unparsable, UnsupportedMediaType

# zlib's word for a gzip member, for zlib's own frame, and for a stream without one, which some call deflate.
_GZIP, _ZLIB, _BARE = 31, 15, -15
_IDENTITY = frozenset({b"", b"identity"})


def inflated(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before this `Content-Encoding`.

    Raises:
        UnsupportedMediaType: another encoding than gzip or deflate.
        TooLarge: more than `limit` bytes come out.
        Unparsable: the stream is damaged or ends early.

    """
    encoding = encoding.strip().lower()
    if encoding in _IDENTITY:
        return body
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise UnsupportedMediaType("The content encoding must be gzip or deflate, or none.")
    try:
        return _whole(body, _ZLIB if encoding == b"deflate" else _GZIP, limit)
    except zlib.error:
        pass
    if encoding == b"deflate":
        try:
            return _whole(body, _BARE, limit)
        except zlib.error:
            pass
    raise Unparsable("The compressed body is damaged.")


def _whole(body: bytes, frame: int, limit: int) -> bytes:
    """All members one after the other."""
    found = bytearray()
    while body:
        stream = zlib.decompressobj(frame)
        found += stream.decompress(body, limit + 1 - len(found))
        if len(found) > limit:
            raise TooLarge(f"The body inflates to more than {limit} bytes.")
        if not stream.eof:
            raise Unparsable("The compressed body ends early.")
        body = stream.unused_data
    return bytes(found)
