"""HTTP as uvicorn speaks it, and beside it the shortest way: a request that needs no waiting is answered where it is read."""

from collections.abc import MutableMapping, Sequence
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.at_once import AT_ONCE, AtOnce
from app.api.replies import Reply


class Protocol(HttpToolsProtocol):
    """A connection. Uvicorn makes a task and an application's call of each request: as much work as a prediction.

    A request that may be answered at once is held until its body is there, if that comes in the same piece; else, and where it
    is not answered after all, it goes uvicorn's way as if it had never been held.
    """

    _held: bytes | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._at_once: AtOnce | None = self.app_state.get(AT_ONCE)

    def data_received(self, data: bytes) -> None:
        """The next piece."""
        super().data_received(data)
        if self._held is not None:
            self._let_go()

    def on_headers_complete(self) -> None:
        """Of a request."""
        if self._at_once is not None and self._is_plain() and self._at_once.may_answer(*self._head()):
            self._held = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self._at_once is not None and self._held is not None:
            reply = self._at_once.answer(cast("MutableMapping[str, Any]", self.scope), self.url, self._held)
            if reply is not None:
                self._held = None
                self._write(reply)
                return
            self._let_go()
        super().on_message_complete()

    def _is_plain(self) -> bool:
        """Whether nothing but to answer it is to be done, and no answer is due before."""
        parser = self.parser
        is_alone = (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused
        has_room = self.limit_concurrency is None or len(self.connections) < self.limit_concurrency
        is_usual = parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        return is_alone and has_room and is_usual and not self.root_path

    def _head(self) -> tuple[bytes, bytes, Sequence[tuple[bytes, bytes]]]:
        return self.parser.get_method(), self.url, self.headers

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        if held:
            super().on_body(held)

    def _write(self, reply: Reply) -> None:
        parts = [STATUS_LINE[reply.status_code]]
        for name, value in (*self.server_state.default_headers, *reply.raw_headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", cast(bytes, reply.body))
        self.transport.write(b"".join(parts))
        self.on_response_complete()
