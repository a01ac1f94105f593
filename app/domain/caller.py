"""Who asks: every service takes a caller, so that no query can forget the project."""

from dataclasses import dataclass, field

DEFAULT_PROJECT = "prj_default"


@dataclass(frozen=True)
class Caller:
    """A project and what may be done in it; scopes are `read`, `write`, `admin`.

    Without a key's id it is the operator: the environment's key, or without any key whoever sits at this machine.
    """

    project_id: str = DEFAULT_PROJECT
    scopes: frozenset[str] = frozenset({"read", "write", "admin"})
    key_id: str | None = None
    request_id: str | None = field(default=None, compare=False)
    """Who asks is the same in another request."""

    def asking(self, request_id: str) -> "Caller":
        """The same in a request."""
        return Caller(self.project_id, self.scopes, self.key_id, request_id)

    @property
    def is_operator(self) -> bool:
        """True for whom no single project is the limit where keys are managed."""
        return self.key_id is None and "admin" in self.scopes
