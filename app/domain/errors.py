"""The one error tree: what can go wrong, in the words of the API; status codes are a table in app/api/problems.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.domain.fault_codes import FaultCode


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request body: `pointer` is a JSON Pointer into what was sent."""

    pointer: str
    code: FaultCode
    detail: str


def pointer(*tokens: str | int) -> str:
    """A JSON Pointer (RFC 6901) from member names and positions."""
    return "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for token in tokens)


class TrainyardError(Exception):
    """Raised when a request cannot be answered; `code` is stable and documented."""

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(TrainyardError):
    """Raised when nothing of that id exists in the caller's project."""

    code = "not_found"
    title = "Not found"

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"There is no {kind} {id!r}.")


class Conflict(TrainyardError):
    """Raised when the state of a resource does not allow what was asked."""

    code = "conflict"
    title = "Conflict"


class InFlight(Conflict):
    """Raised when the first request with the same idempotency key is not answered yet; worth another try."""

    code = "in_flight"

    def __init__(self) -> None:
        super().__init__("The first request with this key is still under way.")


class KeyReused(TrainyardError):
    """Raised when an idempotency key was used for another request before."""

    code = "idempotency_key_reused"
    title = "Idempotency key reused"

    def __init__(self) -> None:
        super().__init__("This key was used with another request: use a key once for each.")


class Invalid(TrainyardError):
    """Raised when a well-formed request asks for something that cannot be; carries every fault at once."""

    code = "invalid_request"
    title = "Invalid request"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)

    @classmethod
    def at(cls, pointer: str, detail: str, *, code: FaultCode = "invalid") -> "Invalid":
        """One fault at one place."""
        return cls([Fault(pointer, code, detail)])


class UnknownCursor(TrainyardError):
    """Raised when a list cannot be continued from `after`: no id of what it lists, or none that has a place in it."""

    code = "unknown_cursor"
    title = "Unknown cursor"

    def __init__(self) -> None:
        super().__init__("The parameter after is neither the `next` of a page of this list nor the id of one of its items.")


class NotSupported(Invalid):
    """Raised when the API's contract names a feature that this version does not have yet."""

    code = "not_supported"
    title = "Not supported yet"


class InvalidData(TrainyardError):
    """Raised when uploaded bytes are not the rows they claim to be; the detail names line and column, never a value."""

    code = "invalid_data"
    title = "Invalid data"


class Unparsable(TrainyardError):
    """Raised when a body is not what its content type says."""

    code = "unparsable"
    title = "Unparsable body"


class UnsupportedMediaType(TrainyardError):
    """Raised when a body's content type is none that the endpoint reads."""

    code = "unsupported_media_type"
    title = "Unsupported media type"


class TooLarge(TrainyardError):
    """Raised when a body or what it unpacks to passes a limit; the detail names the limit."""

    code = "too_large"
    title = "Too large"


class QuotaExceeded(TrainyardError):
    """Raised when a project would have more than it may; another try will not help, deleting something will."""

    code = "quota_exceeded"
    title = "Quota exceeded"


class QueueFull(TrainyardError):
    """Raised when a project has as many jobs waiting as it may; worth another try, later."""

    code = "queue_full"
    title = "Queue full"


class Unauthorized(TrainyardError):
    """Raised when a key is needed and none, or an unknown one, was sent."""

    code = "unauthorized"
    title = "Unauthorized"


class Forbidden(TrainyardError):
    """Raised when the caller may not do this."""

    code = "forbidden"
    title = "Forbidden"


class Unavailable(TrainyardError):
    """Raised when something behind the service does not answer; worth another try."""

    code = "unavailable"
    title = "Unavailable"


class ContentDamaged(TrainyardError):
    """Raised when what was predicted is no longer what was stored; another try will not help, another batch prediction will."""

    code = "content_damaged"
    title = "Content damaged"


class Damaged(TrainyardError):
    """Raised when stored bytes are no longer those that were stored; another try will not help, another checkpoint will."""

    code = "checkpoint_damaged"
    title = "Checkpoint damaged"

    def __init__(self, id: str, name: str) -> None:
        super().__init__(
            f"The stored {name} of checkpoint {id} is damaged: its SHA-256 is not the one that it was stored with. "
            "Use another checkpoint of the job, or have the file restored from a backup."
        )
