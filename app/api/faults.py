"""Where a request is at fault: in its body, its query or its headers."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain import faults
from app.domain.errors import Fault

QUERY = "?"
HEADER = ":"


def faults_of(errors: Sequence[Mapping[str, Any]], body: object) -> list[Fault]:
    """What FastAPI found wrong with a request."""

    def place_of(error: Mapping[str, Any]) -> str:
        where, *path = error["loc"]
        if where == "body":
            return faults.place_in(body, path, error["type"])
        return f"{HEADER if where == 'header' else QUERY}{path[0] if path else ''}"

    return faults.faults_of(errors, place_of)
