"""Bodies that came compressed, inflated up to the limit of a body."""

import zlib

from app.domain.errors import TooLarge, Unparsable, UnsupportedMediaType

# zlib's word for a gzip member, for zlib's own frame, and for a stream without one, which some call deflate.
_GZIP, _ZLIB, _BARE = 31, 15, -15
_IDENTITY = frozenset({b"", b"identity"})
# What follows a member in its last piece is copied, so pieces are small and members few.
_PIECE = 64 * 1024
MOST_MEMBERS = 1000


def inflated(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before this `Content-Encoding`.

    Raises:
        UnsupportedMediaType: another encoding than gzip or deflate.
        TooLarge: more than `limit` bytes come out.
        Unparsable: the stream is damaged, ends early or has too many members.

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
    found, at, members = bytearray(), 0, 0
    while at < len(body):
        members += 1
        if members > MOST_MEMBERS:
            raise Unparsable(f"The compressed body has more than {MOST_MEMBERS} members.")
        at = _member(body, at, frame, found, limit)
    return bytes(found)


def _member(body: bytes, at: int, frame: int, found: bytearray, limit: int) -> int:
    """Adds the member that begins at a place of the body to what was found; where the next one begins."""
    stream = zlib.decompressobj(frame)
    while not stream.eof:
        piece = body[at : at + _PIECE]
        if not piece:
            raise Unparsable("The compressed body ends early.")
        found += stream.decompress(piece, limit + 1 - len(found))
        if len(found) > limit:
            raise TooLarge(f"The body inflates to more than {limit} bytes.")
        at += len(piece) - len(stream.unused_data)
    return at
