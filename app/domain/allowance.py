"""How many requests a project may still make."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """`limit` requests in any `window` seconds; `remaining` now, and more after `reset` seconds."""

    allowed: bool
    limit: int
    window: int
    remaining: int
    reset: int
