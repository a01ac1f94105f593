"""How many requests a project may still make, as an answer's headers say it."""

from app.domain.allowance import Allowance


def headers_of(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """By the names of the IETF's draft of RateLimit fields."""
    return [
        (b"ratelimit-policy", b"%d;w=%d" % (allowance.limit, allowance.window)),
        (b"ratelimit-limit", b"%d" % allowance.limit),
        (b"ratelimit-remaining", b"%d" % allowance.remaining),
        (b"ratelimit-reset", b"%d" % allowance.reset),
    ]
