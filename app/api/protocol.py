"""HTTP as uvicorn speaks it, and beside it the shortest way: a request that needs no waiting is answered where it is read."""

from collections.abc import MutableMapping
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.api.at_once import AT_ONCE, QUICK_BYTES, AtOnce, Begun
from app.api.replies import Reply


class Protocol(HttpToolsProtocol):
    """A connection. Uvicorn makes a task and an application's call of each request: as much work as a prediction.

    A request that may be answered at once is held until its body is there. Where it is not answered after all it goes uvicorn's
    way, as if it had never been held.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._at_once: AtOnce | None = self.app_state.get(AT_ONCE)
        self._begun: Begun | None = None
        self._held: list[bytes] = []
        self._has_answered = False
        self._due: tuple[Begun, bytes] | None = None

    def data_received(self, data: bytes) -> None:
        """The next piece: one answer at once, others behind it in their turns."""
        self._has_answered = False
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Of a request."""
        self._unset_keepalive_if_required()  # an answer at once has set it, and behind it in the same piece is this
        if self._at_once is not None and self._is_plain():
            scope = cast("MutableMapping[str, Any]", self.scope)
            self._begun = self._at_once.begin(self.parser.get_method(), self.url, scope)
        if self._begun is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        if self._begun is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self._at_once is None or self._begun is None:
            super().on_message_complete()
            return
        body = b"".join(self._held)
        if len(body) > QUICK_BYTES or self._has_answered:
            self._due = self._begun, body
            self._let_go()  # it has its place before those behind it, and takes its turn instead of a task
        elif reply := self._at_once.answer(self._begun, body):
            self._begun, self._held, self._has_answered = None, [], True
            self._write(reply)
        else:
            self._let_go()
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        due, self._due = self._due, None
        if self._at_once is None or due is None:
            super()._start_asgi_task(cycle, app)
        else:
            self._at_once.turns.take(partial(self._answer_in_turn, self._at_once, *due, cycle=cycle, app=app))

    def _answer_in_turn(self, at_once: AtOnce, begun: Begun, body: bytes, *, cycle: RequestResponseCycle, app: Any) -> None:
        is_usual = cycle.keep_alive and not cycle.disconnected and not self.flow.write_paused
        reply = at_once.answer(begun, body) if is_usual else None
        if reply is None:
            cycle.body, cycle.more_body = bytearray(body), False
            cycle.message_event.set()
            super()._start_asgi_task(cycle, app)
        else:
            cycle.response_started = cycle.response_complete = True
            self._write(reply)
            cycle.on_response = lambda: None  # it holds this connection

    def shutdown(self) -> None:
        """The server ends; a request that has begun is answered first."""
        if self._begun is not None:
            self._let_go()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """A request that has begun is counted and told as any other whose caller left."""
        if self._begun is not None:
            self._let_go()
        super().connection_lost(exc)

    def _is_plain(self) -> bool:
        """Whether nothing but to answer it is to be done, and no answer is due before."""
        parser = self.parser
        is_alone = (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused
        has_room = self.limit_concurrency is None or len(self.connections) < self.limit_concurrency
        is_usual = parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        return is_alone and has_room and is_usual and not self.root_path

    def _let_go(self) -> None:
        held, self._held, self._begun = [] if self._due else self._held, [], None
        super().on_headers_complete()
        for body in held:
            super().on_body(body)

    def _write(self, reply: Reply) -> None:
        parts = [STATUS_LINE[reply.status_code]]
        for name, value in (*self.server_state.default_headers, *reply.raw_headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", cast(bytes, reply.body))
        self.transport.write(b"".join(parts))
        self.on_response_complete()
