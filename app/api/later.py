"""What the API's contract names and this version does not have yet: refused by name instead of as unknown."""

import re

_PATHS = {
    r"/v1/webhooks(/.*)?": "Webhooks",
}
_PATTERNS = [(re.compile(pattern), name) for pattern, name in _PATHS.items()]


def path_to_come(path: str) -> str | None:
    """A sentence for a path of a later version."""
    names = (name for pattern, name in _PATTERNS if pattern.fullmatch(path))
    return next((f"Not part of this version yet: {name[0].lower()}{name[1:]}." for name in names), None)
