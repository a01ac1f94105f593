"""The refusal of a JSON body with texts that no database can keep."""

from fastapi import Depends, Request

from app.api.characters import bad_texts, may_be_bad
from app.api.rest import with_the_rest


async def check_texts(request: Request) -> None:
    """Refuse such a body."""
    if may_be_bad(await request.body()) and (faults := bad_texts(await request.json())):
        raise await with_the_rest(request, faults)


CheckedText = Depends(check_texts)
