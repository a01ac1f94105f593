"""Answers that were written already: a response without a look at what it holds."""

from collections.abc import Mapping

from fastapi import Response


class Reply(Response):
    """As its parent, of bytes and an ASCII content type; made in a tenth of the time."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self.status_code, self.background = 200, None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", media_type.encode())]
        for name, value in headers.items():
            self.raw_headers.append((name.lower().encode(), value.encode("latin-1")))
