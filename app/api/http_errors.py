"""Errors that only HTTP has: methods, ranges, paths of later versions."""

from collections.abc import Mapping, Sequence

from app.domain.allowance import Allowance
from app.domain.errors import TrainyardError


class HttpError(TrainyardError):
    """Raised when the request does not fit HTTP's side of the contract; may carry headers of its answer."""

    headers: Mapping[str, str] = {}


class NotHereYet(HttpError):
    """Raised when the API's contract names a path that this version does not have yet."""

    code = "not_supported"
    title = "Not supported yet"


class MethodNotAllowed(HttpError):
    """Raised when a path has no such method; the answer names those it has."""

    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{method} is not allowed here; {', '.join(allowed)} would be.")
        self.headers = {"Allow": ", ".join(allowed)}


class RangeNotSatisfiable(HttpError):
    """Raised when the asked range of bytes lies outside the file."""

    code = "range_not_satisfiable"
    title = "Range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class RateLimited(HttpError):
    """Raised when a project has made as many requests as it may for now."""

    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(f"The project may make {allowance.limit} requests in {allowance.window} s.")
        self.headers = {"Retry-After": str(allowance.reset)}
