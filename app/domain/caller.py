"""Who asks: every service takes a caller, so that no query can forget the project."""

from dataclasses import dataclass

DEFAULT_PROJECT = "prj_default"


@dataclass(frozen=True)
class Caller:
    """A project and what may be done in it; scopes are `read`, `write`, `admin`."""

    project_id: str = DEFAULT_PROJECT
    scopes: frozenset[str] = frozenset({"read", "write", "admin"})
