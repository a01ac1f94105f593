"""`Idempotency-Key` on requests that create: the same key and request get the first answer again."""

import hashlib
import re
from collections.abc import Callable
from typing import Annotated

import orjson
from fastapi import Header, Response
from pydantic import AfterValidator, BaseModel, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.api.answers import Answer
from app.domain.caller import Caller
from app.persistence.idempotency import Key, Pending
from app.services.idempotency import Idempotency, StoredAnswer, Transaction

NAME = "Idempotency-Key"
REPLAYED = {"Idempotency-Replayed": "true"}
_KEY = re.compile(r"[!-~]{1,255}")


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise PydanticCustomError("bad_format", "It must be 1 to 255 visible ASCII characters.")
    return key


KeyOf = Annotated[
    Annotated[str, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": f"^{_KEY.pattern}$"})] | None,
    Header(alias=NAME, description="The same key and request get the first answer again for 24 hours."),
]


class Once:
    """One creating request; without a key it is simply answered."""

    def __init__(self, idempotency: Idempotency, key: Key | None) -> None:
        self._idempotency = idempotency
        self._key = key
        self._pending: Pending | None = None
        self._answer: StoredAnswer | None = None

    def run(self, create: Callable[[], object]) -> Response:
        """The answer that `create` gave to `remember`, or gave the first time."""
        if self._key:
            found = self._idempotency.begin(self._key)
            if isinstance(found, StoredAnswer):
                return _response(found, REPLAYED)
            self._pending = found
        try:
            create()
        except BaseException:
            if self._pending:
                self._idempotency.forget(self._pending)
            raise
        assert self._answer is not None
        return _response(self._answer, {})

    def remember(self, transaction: Transaction, answer: Answer, *, location: str, again: Answer | None = None) -> None:
        """Called where the resource is created, in its transaction; `again` is for replays, where they are told less."""
        self._answer = _stored(answer, location)
        if self._pending:
            self._idempotency.finish(transaction, self._pending, _stored(again or answer, location))


def key_of(caller: Caller, header: str | None, *asked: object) -> Key | None:
    """The key with the fingerprint of what was asked: parsed fields, and the hash of a file."""
    if header is None:
        return None
    fingerprint = hashlib.sha256(orjson.dumps(asked, default=_fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Key(project_id=caller.project_id, key=header, fingerprint=fingerprint)


def _fields(body: object) -> object:
    """The parsed fields of a body."""
    assert isinstance(body, BaseModel)
    return body.model_dump(mode="json")


def _stored(answer: Answer, location: str) -> StoredAnswer:
    return StoredAnswer(status=201, body=answer.model_dump_json().encode(), headers={"Location": location})


def _response(answer: StoredAnswer, extra: dict[str, str]) -> Response:
    headers = {**answer.headers, **extra}
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=headers)
