"""Reads multipart/form-data as it arrives: the file goes straight to the sink, the few fields beside it stay in memory."""

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.domain.errors import Fault, Invalid, TooLarge, Unparsable, pointer
from app.services.uploads import Sink

FILE = "file"
FIELDS = frozenset({"name", "schema"})
MOST_FIELD_BYTES = 1 << 20
MOST_PARTS = 16


class Form:
    """What a form brought: its fields as text, and the file's name and content type."""

    def __init__(self, sink: Sink) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.content_type = ""
        self._sink = sink
        self._faults: list[Fault] = []
        self._seen_file = False
        self._ended = False
        self._part = ""
        self._parts = 0
        self._buffer = bytearray()
        self._header = (bytearray(), bytearray())
        self._headers: dict[str, bytes] = {}

    async def read(self, request: Request) -> None:
        """Read the whole body; Unparsable or Invalid where it is not such a form."""
        _, options = parse_options_header(request.headers["content-type"])
        if not options.get(b"boundary"):
            raise Unparsable("The content type names no boundary.")
        parser = MultipartParser(options[b"boundary"], self._callbacks())  # type: ignore[arg-type]  # its keys are literals
        try:
            async for piece in request.stream():
                parser.write(piece)
            parser.finalize()
        except MultipartParseError:
            raise Unparsable("The body is not multipart/form-data.") from None
        if not self._ended:
            raise Unparsable("The form breaks off before its last boundary.")
        if not self._seen_file:
            self._faults.append(Fault(pointer(FILE), "missing", "The part `file` is required."))
        if self._faults:
            raise Invalid(self._faults)

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_begin": self._begin_header,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._recognize,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooLarge(f"The form has more than {MOST_PARTS} parts.")
        self._headers = {}
        self._buffer = bytearray()

    def _begin_header(self) -> None:
        self._header = (bytearray(), bytearray())

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = bytes(value)

    def _recognize(self) -> None:
        """Which part this is."""
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part not in FIELDS | {FILE} or self._part in self.fields or (self._part == FILE and self._seen_file):
            self._faults.append(Fault(pointer(self._part), "unknown_field", "There is no such part, or it stands twice."))
            self._part = ""
        elif self._part == FILE:
            self._seen_file = True
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self.content_type = self._headers.get("content-type", b"").decode("latin-1")

    def _take(self, piece: bytes) -> None:
        if self._part == FILE:
            self._sink.write(piece)
        elif len(self._buffer) + len(piece) > MOST_FIELD_BYTES:
            raise TooLarge(f"A field of the form has more than {MOST_FIELD_BYTES} bytes.")
        else:
            self._buffer.extend(piece)

    def _end(self) -> None:
        if self._part in FIELDS:
            self.fields[self._part] = self._buffer.decode("utf-8", "replace")

    def _end_form(self) -> None:
        self._ended = True
