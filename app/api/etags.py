"""Entity tags (RFC 9110): which version of an answer the caller has already."""

from collections.abc import Callable

Knows = Callable[[str], bool]


def weak(version: str) -> str:
    """The tag of an answer that says the same as another of that version, in other bytes perhaps."""
    return f'W/"{version}"'


def known_by(if_none_match: str | None) -> Knows | None:
    """Answers whether `If-None-Match` names a version; None where the header is not there."""
    if if_none_match is None:
        return None
    named = {tag.strip().removeprefix("W/").strip('"') for tag in if_none_match.split(",")}
    return lambda version: version in named or "*" in named
