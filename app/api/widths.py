"""Bodies with so many members that the faults found in them would be the attack: each takes a kilobyte of memory."""

from fastapi import Depends, Request

from app.domain.errors import TooLarge

# A spec may name 10 000 columns a few times.
MOST_MEMBERS = 100_000


async def check_values(request: Request) -> None:
    """Refuse the body of a spec with more values than any spec needs; each of them may be wrong."""
    if (await request.body()).count(b",") >= MOST_MEMBERS:
        raise _too_many()


async def check_members(request: Request) -> None:
    """Refuse a body of many rows with too many members beside the rows, whose cells are judged by our own readers."""
    if (await request.body()).count(b":") > MOST_MEMBERS and request.headers.get("content-type", "").startswith("application/"):
        refuse_wide(await request.json())


def refuse_wide(body: object) -> None:
    """TooLarge where an object and the objects in it, those in lists left out, have too many members."""
    if not isinstance(body, dict):
        return
    if len(body) + sum(len(value) for value in body.values() if isinstance(value, dict)) > MOST_MEMBERS:
        raise _too_many()


def _too_many() -> TooLarge:
    return TooLarge(f"The body has more than {MOST_MEMBERS} members.")


CheckedValues, CheckedMembers = Depends(check_values), Depends(check_members)
