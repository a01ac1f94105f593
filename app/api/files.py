"""Answers that are stored bytes: a tag by which a copy is known to be current, and one range of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Response
from fastapi.responses import StreamingResponse

from app.api.etags import known_by
from app.api.openapi import Responses
from app.api.ranges import part_of

Stream = Callable[[int, int], Iterator[bytes]]
BINARY = "application/octet-stream"
UNCHANGED: Responses = {304: {"description": "Unchanged."}}
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""For what never changes under its path."""


def in_parts(*types: str) -> Responses:
    """What an operation of such bytes answers that takes `Range` and `If-None-Match`."""
    part = {"description": "The part that `Range` asked for.", "content": {type: {} for type in types}}  # of no schema
    return {206: part, **UNCHANGED}


@dataclass(frozen=True)
class Asked:
    """What the request's headers say of the copy that the caller has."""

    if_none_match: Annotated[str | None, Header(description="The `ETag` of a copy that is known.")] = None
    if_range: Annotated[str | None, Header(description="The `ETag` for which `Range` counts; of another all is sent.")] = None
    range: Annotated[str | None, Header(description="One range of bytes, such as `bytes=0-1023`; several mean all.")] = None

    def has(self, tag: str) -> bool:
        """True where the caller has what the tag names."""
        known = known_by(self.if_none_match)
        return known is not None and known(tag.removeprefix("W/").strip('"'))


AskedOf = Annotated[Asked, Depends()]


@dataclass(frozen=True, kw_only=True)
class Download:
    """Bytes under a strong tag."""

    name: str
    tag: str
    bytes: int
    type: str

    def answer(self, asked: Asked, stream: Stream, headers: Mapping[str, str]) -> Response:
        """All of it, a part, or that nothing changed; `stream` is called with the first place and the one behind the last."""
        headers = {"ETag": self.tag, "Accept-Ranges": "bytes", **headers}
        if asked.has(self.tag):
            return Response(status_code=304, headers=headers)
        part = part_of(asked.range if asked.if_range in (None, self.tag) else None, self.bytes)
        headers["Content-Length"] = str(part.stop - part.start)
        headers["Content-Disposition"] = f'attachment; filename="{self.name}"'
        if len(part) < self.bytes:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{self.bytes}"
        status = 206 if "Content-Range" in headers else 200
        return StreamingResponse(stream(part.start, part.stop), status_code=status, media_type=self.type, headers=headers)
