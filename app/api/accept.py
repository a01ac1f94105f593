"""The media types that a request asks for."""

from collections.abc import Sequence

from fastapi import Request


def preferred(request: Request, offered: Sequence[str]) -> str:
    """The offered type that `Accept` likes most; the first one where it names none of them."""
    return liked(request.headers.get("accept", ""), offered)


def liked(accept: str, offered: Sequence[str]) -> str:
    """As `preferred`, by the header's text."""
    wishes = [_wish(part) for part in accept.split(",")]
    liked = sorted(wishes, key=lambda wish: -wish[1])
    return next((type for type, quality in liked if quality > 0 and type in offered), offered[0])


def _wish(part: str) -> tuple[str, float]:
    type, *parameters = (text.strip().lower() for text in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return type, float(quality)
    except ValueError:
        return type, 0.0
