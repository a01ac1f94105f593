"""Keys over HTTP, for admins."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Body, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.api.access import CallerOf
from app.api.answer_examples import shown
from app.api.answers import Answer, Listing, Time
from app.api.examples import KEY
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import created, problems
from app.api.queries import CheckedQuery, Paging, cursor_of
from app.api.report_examples import KEY as KEY_MADE
from app.api.report_examples import NEW_KEY
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.keys import MOST_NAME, PROJECT, Scope, prefix_of
from app.services.idempotency import Transaction
from app.services.keys import KeyView, Wish

router = APIRouter(prefix="/v1/keys", tags=["Keys"], dependencies=[CheckedQuery])


class Key(Answer):
    """Who may call, for which project; `prefix` is how its secret begins."""

    model_config = shown(KEY_MADE)

    id: str
    object: Literal["key"] = "key"
    name: str | None
    project: str
    scopes: Sequence[Scope]
    prefix: str
    expires_at: Time | None
    last_used_at: Time | None
    created_at: Time

    @classmethod
    def of(cls, view: KeyView) -> Self:
        """From its row."""
        row = view.row
        return cls.model_validate({**vars(row), "project": view.project, "prefix": prefix_of(row.id), "secret": view.secret})


class NewKey(Key):
    """The same, with the secret, which is told this once; null where the answer is a replay."""

    model_config = shown(NEW_KEY)

    secret: str | None


class KeyBody(BaseModel):
    """What a new key shall be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=MOST_NAME)] | None = None
    project: Annotated[
        str | None, Field(pattern=f"^{PROJECT}$", description="A name; null: the caller's project. A new one is made.")
    ] = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)] = ["read", "write"]
    expires_at: Annotated[AwareDatetime | None, Field(description="null: never.")] = None


class KeyQuery(Paging):
    """Which page of the keys."""

    after: Annotated[str | None, cursor_of("key")] = None


_CREATED = created(NewKey)


@router.post("", status_code=201, operation_id="create_key", responses=_CREATED, dependencies=[CheckedValues, CheckedText])
def create(
    body: Annotated[KeyBody, Body(openapi_examples=KEY)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Make a key. Its secret is answered this once: only its SHA-256 is kept."""
    once = Once(services.idempotency, key_of(caller, idempotency_key, "key", body))

    def remember(transaction: Transaction, view: KeyView) -> None:
        told = NewKey.of(view)
        again = told.model_copy(update={"secret": None})
        once.remember(transaction, told, location=f"/v1/keys/{view.row.id}", again=again)

    wish = Wish(name=body.name, project=body.project, scopes=body.scopes, expires_at=body.expires_at)
    return once.run(lambda: services.keys.create(caller, wish, remember))


@router.get("", operation_id="list_keys", responses=problems())
def list_keys(query: Annotated[KeyQuery, Query()], caller: CallerOf, services: ServicesOf) -> Listing[Key]:
    """The project's keys, newest first, without those that were revoked; of the operator's key those of all projects."""
    views = services.keys.page(caller, query.page("key"))
    return Listing[Key].of(views, limit=query.limit, answer=Key.of, cursor=lambda key: key.id)


@router.delete("/{key_id}", status_code=204, response_class=Response, operation_id="revoke_key", responses=problems(404))
def revoke(key_id: str, caller: CallerOf, services: ServicesOf) -> None:
    """Revoke a key: from now on no request is answered with it, and streams that it opened end."""
    services.keys.revoke(caller, key_id)
