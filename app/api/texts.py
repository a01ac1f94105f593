"""The refusal of a JSON body with texts that no database can keep, or with a name that stands twice in one object."""

from fastapi import Depends, Request

from app.api.characters import bad_texts, may_be_bad
from app.api.media import is_json
from app.api.names import doubled_names
from app.api.rest import with_the_rest


async def check_texts(request: Request) -> None:
    """Refuse such a body; what is sent as something else is not read at all."""
    if not is_json(request.headers.get("content-type", "")):
        return
    raw = await request.body()
    faults = doubled_names(raw)
    if may_be_bad(raw):
        faults += bad_texts(await request.json())
    if faults:
        raise await with_the_rest(request, faults)


CheckedText = Depends(check_texts)
