"""Keys: 256 random bits behind a visible prefix, known to the service by their SHA-256 alone."""

import hashlib
import hmac
import re
import secrets
from typing import Literal, get_args

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PROJECT = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""The name of a project."""

MOST_NAME = 200
"""Characters in the name of a key."""

_SECRET = re.compile(r"ty_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")


def new_secret(id: str) -> str:
    """What the holder of the key sends; it is never stored."""
    return f"{prefix_of(id)}_{secrets.token_urlsafe(32)}"


def prefix_of(id: str) -> str:
    """The part of the secret that may be seen: by it a key is found in a list, and the list's entry from a key."""
    return f"ty_{id.removeprefix('key_')}"


def id_of(secret: str) -> str | None:
    """The id of the key that this is the secret of; None where it is no secret of ours."""
    found = _SECRET.fullmatch(secret)
    return f"key_{found[1]}" if found else None


def digest(secret: str) -> str:
    """SHA-256. The secret has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def matches(secret: str, sha256: str) -> bool:
    """Whether it is the secret with that digest, in a time that tells nothing."""
    return hmac.compare_digest(digest(secret), sha256)
