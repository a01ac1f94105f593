"""Clones of jobs over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from app.api.access import CallerOf
from app.api.answers import Job
from app.api.examples import CLONE
from app.api.once import KeyOf, Once, key_of
from app.api.openapi import created
from app.api.queries import CheckedQuery
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain.clone import CloneSpec
from app.services.idempotency import Transaction
from app.services.jobs import JobView

router = APIRouter(prefix="/v1/jobs/{job_id}/clone", tags=["Jobs"], dependencies=[CheckedQuery])

_CREATED = created(Job, 404)


@router.post("", status_code=201, operation_id="clone_job", responses=_CREATED, dependencies=[CheckedValues, CheckedText])
def create(
    job_id: str,
    clone: Annotated[CloneSpec, Body(openapi_examples=CLONE)],
    caller: CallerOf,
    services: ServicesOf,
    idempotency_key: KeyOf = None,
) -> Response:
    """Queue a new job from this one's `spec`, in which each path of `set` gets its value.

    `from_checkpoint` starts from a checkpoint's weights, classes and fitted preprocessing; with `continue` the training goes on
    from its optimizer and epoch, as if it had never stopped.
    """
    once = Once(services.idempotency, key_of(caller, idempotency_key, "clone", job_id, clone))

    def remember(transaction: Transaction, view: JobView) -> None:
        once.remember(transaction, Job.of(view), location=f"/v1/jobs/{view.row.id}")

    return once.run(lambda: services.clones.create(caller, job_id, clone, remember))
