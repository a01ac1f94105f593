"""An upload's way from the socket to the service: raw, as a form, or in JSON, streamed to disk and hashed."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import Request, Response

from app.api.dataset_answers import DescribedDataset
from app.api.dataset_bodies import DatasetBody, DatasetSchema, Words, read_body, words_of
from app.api.examples import DATASET, UPLOADED, UPLOADS
from app.api.faults import QUERY
from app.api.media import FORMATS, JSON, MULTIPART, check_encoding, format_of_body, format_of_file, media_type
from app.api.multipart import Form
from app.api.once import Once, key_of
from app.api.services import Services
from app.domain.caller import Caller
from app.domain.errors import Fault, Invalid, TooLarge
from app.persistence.rows import DatasetRow
from app.services.datasets import Origin
from app.services.idempotency import Transaction
from app.services.uploads import Sink
from app.tabular.request import Format
from app.tabular.samples import sample_path

# As the last of these a generated client sends a file that is the whole body.
_RAW = sorted(FORMATS, key="text/csv".__eq__)
SCHEMA = "/schema"
_BINARY = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": _BINARY,
        "name": {"type": "string", "maxLength": 200},
        "schema": {"type": "string", "description": "JSON, as in the query."},
    },
}
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **{type: {"schema": _BINARY, **UPLOADS.get(type, {})} for type in _RAW},
            MULTIPART: {
                "schema": _FORM,
                "encoding": {"file": {"contentType": ", ".join(FORMATS)}},
                "example": {**UPLOADED, "name": "plants"},
            },
            JSON: {"schema": {"$ref": f"#/components/schemas/{DatasetBody.__name__}"}, "examples": DATASET},
        },
    }
}


@dataclass(frozen=True)
class Receiver:
    """Receives one request's upload."""

    request: Request
    caller: Caller
    services: Services
    key: str | None
    """The request's idempotency key."""

    async def receive(self, *, name: str | None, schema: str | None) -> Response:
        """Read the body whatever its form, and store what it holds."""
        type = media_type(self.request.headers.get("content-type", ""))
        check_encoding(self.request)
        with told_of_query():
            words = words_of(name=name, schema=schema)
        if type == JSON:
            return await self._json(words)
        with self.services.uploads.receive() as sink:
            if type == MULTIPART:
                return await self._form(sink, words)
            return await self._raw(sink, words, format=format_of_body(type))

    async def _raw(self, sink: Sink, words: Words, *, format: Format) -> Response:
        async for piece in self.request.stream():
            sink.write(piece)
        with told_of_query():
            return await self._store_file(sink, words, format=format)

    async def _form(self, sink: Sink, words: Words) -> Response:
        form = Form(sink)
        await form.read(self.request)
        own = words_of(name=form.fields.get("name"), schema=form.fields.get("schema"))
        words = words.model_copy(update={field: getattr(own, field) for field in own.model_fields_set if getattr(own, field)})
        with told_of_query(only=own.schema_ is None):
            return await self._store_file(sink, words, format=format_of_file(form.filename, form.content_type))

    async def _store_file(self, sink: Sink, words: Words, *, format: Format) -> Response:
        sink.flush()
        store = partial(self.services.datasets.store_file, self.caller, sink.path, format=format)
        return await self._in_turn(partial(self._once, store, origin_of(words, sink), format))

    async def _json(self, words: Words) -> Response:
        raw = await self._small_body()
        return await self._in_turn(partial(self._store_json, raw, words))

    async def _small_body(self) -> bytes:
        """A JSON body, which stays in memory, is bounded like any other."""
        most, raw = self.services.uploads.most_json_bytes, bytearray()
        async for piece in self.request.stream():
            raw.extend(piece)
            if len(raw) > most:
                raise TooLarge(f"The body is larger than {most} bytes; send large data as a file.")
        return bytes(raw)

    def _store_json(self, raw: bytes, words: Words) -> Response:
        body = read_body(raw)
        words = Words(name=body.name or words.name, schema=body.schema_ or words.schema_)
        with told_of_query(only=body.schema_ is None):
            return self._store_body(body, words, raw)

    def _store_body(self, body: DatasetBody, words: Words, raw: bytes) -> Response:
        datasets = self.services.datasets
        if body.sample is not None:
            path = sample_path(body.sample)
            words = words.model_copy(update={"name": words.name or body.sample})
            content = path.read_bytes()
            return self._once(partial(datasets.store_file, self.caller, path, format="csv"), origin_of(words, content), "csv")
        store = partial(datasets.store_rows, self.caller, rows=body.rows, columns=body.columns)
        return self._once(store, origin_of(words, raw), JSON)

    def _once(self, store: Callable[..., None], origin: Origin, format: str) -> Response:
        """Store it, unless the same upload came with the same key before."""
        once = Once(self.services.idempotency, key_of(self.caller, self.key, "dataset", format, origin))

        def remember(transaction: Transaction, row: DatasetRow) -> None:
            once.remember(transaction, DescribedDataset.of(row), location=f"/v1/datasets/{row.id}")

        return once.run(lambda: store(origin=origin, before_commit=remember))

    async def _in_turn(self, store: Callable[[], Response]) -> Response:
        return await to_thread.run_sync(store, limiter=self.services.uploads.turns)


@contextmanager
def told_of_query(*, only: bool = True) -> Iterator[None]:
    """Faults of the schema are told as that of the query, where it stood there and `only` there."""
    try:
        yield
    except Invalid as error:
        raise Invalid([_in_query(fault) if only else fault for fault in error.faults]) from None


def _in_query(fault: Fault) -> Fault:
    place = fault.pointer.removeprefix(SCHEMA)
    if place == fault.pointer:
        return fault
    return Fault(f"{QUERY}schema", fault.code, f"{place}: {fault.detail}" if place else fault.detail)


def origin_of(words: Words, content: bytes | Sink) -> Origin:
    """Where a dataset comes from."""
    if isinstance(content, Sink):
        size, sha256 = content.bytes, content.sha256
    else:
        size, sha256 = len(content), hashlib.sha256(content).hexdigest()
    schema = words.schema_ or DatasetSchema()
    return Origin(bytes=size, sha256=sha256, name=words.name, kinds=schema.columns, missing=schema.missing)
