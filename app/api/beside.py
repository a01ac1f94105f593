"""What else is wrong with a spec whose form is at fault: a dataset or columns that are not there are told with it."""

from collections.abc import Sequence

from fastapi import Request

from app.api.services import Services
from app.domain.errors import Fault, Invalid
from app.domain.faults import validated
from app.domain.spec import JobSpec

_OPERATIONS = frozenset({"create_job", "plan_job"})
_NAMING = ("dataset", "target", "features", "columns", "task")
# What decides how a column is read: where one of these is at fault nothing can be said of a target or a feature.
_READING = frozenset({"columns", "task"})


def faults_beside(request: Request, body: object, found: Sequence[Fault]) -> list[Fault]:
    """Of those fields of a spec that name datasets and columns and are themselves well formed."""
    if getattr(request.scope.get("route"), "operation_id", None) not in _OPERATIONS or not isinstance(body, dict):
        return []
    at_fault = {_field(fault) for fault in found}
    looked_up = ("dataset",) if at_fault & _READING else _NAMING
    naming = {name: body[name] for name in looked_up if name in body and name not in at_fault}
    services: Services = request.app.state.services
    try:
        # The faults of a target that nobody named are left out below.
        spec = validated(JobSpec, {"target": "", **naming})
    except Invalid:
        return []
    return [fault for fault in services.plans.plan(request.state.caller, spec).faults if _field(fault) in naming]


def _field(fault: Fault) -> str:
    return fault.pointer.removeprefix("/").partition("/")[0]
