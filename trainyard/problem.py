"""The API's refusals as an exception."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request; `place` is a JSON Pointer into the body, or the name of a parameter or header."""

    place: str
    code: str
    detail: str


class TrainyardProblem(Exception):
    """Raised when the service refuses a request; `code` is stable, `faults` says all that is wrong with the body at once."""

    def __init__(
        self, *, status: int, code: str, detail: str, faults: Sequence[Fault] = (), request_id: str | None = None
    ) -> None:
        super().__init__("\n".join(f"{fault.place or '/'}: {fault.detail}" for fault in faults) or detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.request_id = request_id

    @classmethod
    def of(cls, response: httpx2.Response) -> "TrainyardProblem":
        """From an answer that has been read; also from one that a proxy made."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return cls(status=response.status_code, code="unknown", detail=f"The server answered {response.status_code}.")
        return cls(
            status=response.status_code,
            code=str(body.get("code", "unknown")),
            detail=str(body.get("detail") or body.get("title") or f"The server answered {response.status_code}."),
            faults=[Fault(_place(fault), fault["code"], fault["detail"]) for fault in body.get("errors", [])],
            request_id=body.get("request_id"),
        )


def _place(fault: Mapping[str, str]) -> str:
    return next((fault[kind] for kind in ("pointer", "parameter", "header") if kind in fault), "")
