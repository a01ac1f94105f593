"""The body of a problem (RFC 9457)."""

from typing import Annotated, get_args

from pydantic import ConfigDict, Field

from app.api.answers import Answer
from app.domain.fault_codes import FaultCode

SPARSE = ConfigDict(json_schema_serialization_defaults_required=False)
"""Of an answer that leaves out what it has not."""


class ProblemFault(Answer):
    """One thing wrong with a request; exactly one of pointer (into the body), parameter and header says where."""

    model_config = SPARSE

    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    code: Annotated[str, Field(description=f"One of {', '.join(get_args(FaultCode))}; more may be added.")]
    detail: str


class Problem(Answer):
    """Why a request was not answered as asked (RFC 9457)."""

    model_config = SPARSE

    type: Annotated[str, Field(description="Where the code is described, from this service's root.")]
    title: str
    status: int
    detail: str
    instance: Annotated[str, Field(description="The path that was asked for.")]
    code: Annotated[str, Field(description="Stable; the reference lists all.")]
    request_id: str
    error: Annotated[str | None, Field(description="Under `/v2`: the detail, for clients of that protocol.")] = None
    errors: Annotated[list[ProblemFault] | None, Field(description="What is wrong with the request, all of it at once.")] = None
