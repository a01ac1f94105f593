"""Plans over HTTP: a spec is resolved, measured and answered; nothing is stored."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Body

from app.api.access import CallerOf
from app.api.answer_examples import PLAN, shown
from app.api.answers import Answer, DescribedAs
from app.api.examples import IRIS_BY_HAND
from app.api.openapi import problems
from app.api.problem_answers import ProblemFault
from app.api.queries import CheckedQuery
from app.api.services import ServicesOf
from app.api.texts import CheckedText
from app.api.widths import CheckedValues
from app.domain import planning
from app.domain.admission import Room
from app.domain.spec import JobSpec, ResolvedSpec
from app.services.plans import Outlook
from app.services.plans import Plan as Planned

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"], dependencies=[CheckedQuery])


class Layer(Answer):
    """A part of the network that has parameters."""

    name: str
    inputs: int
    outputs: int
    parameters: int


class Memory(Answer):
    """Bytes at the peak of the training, by what needs them, and what there is on `device`; null where nobody has said.

    With a GPU also what the training takes of its host's memory, and what there is of that; else null.
    """

    device: Literal["cpu", "cuda"]
    data: int
    parameters: int
    optimizer: int
    activations: int
    total: int
    budget: int | None
    host_total: int | None
    host_budget: int | None

    @classmethod
    def of(cls, room: Room) -> Self:
        """From the place where the job would train."""
        need, host = room.need, room.host
        parts = {name: getattr(need.estimate, name) for name in ("data", "parameters", "optimizer", "activations", "total")}
        total, budget = (host.estimate.total, host.budget) if host else (None, None)
        return cls(device=room.device, budget=need.budget, host_total=total, host_budget=budget, **parts)


class Duration(Answer):
    """Seconds on a CPU: of an epoch, around the epochs, and `total` to `epochs` or `max_seconds`, whichever comes first.

    `measured_jobs` are earlier jobs of the project by whose pace they were corrected; with none they are those of an ordinary
    processor. Early stopping cannot be foreseen.
    """

    device: Literal["cpu"] = "cpu"
    overhead_seconds: float
    epoch_seconds: float
    total_seconds: float
    measured_jobs: int

    @classmethod
    def of(cls, outlook: Outlook) -> Self | None:
        """None where nothing is known of the device."""
        found, jobs = outlook.duration, outlook.measured_jobs
        if found is None:
            return None
        return cls(overhead_seconds=found.overhead, epoch_seconds=found.epoch, total_seconds=found.total, measured_jobs=jobs)


class Plan(Answer):
    """What a job would be. Where the spec does not fit its datasets, all but the last two members are null or empty.

    `columns` are the first thousand after preprocessing, `column_count` says how many there are.
    """

    model_config = shown(PLAN)

    object: Literal["plan"] = "plan"
    resolved_spec: Annotated[Mapping[str, Any], DescribedAs(ResolvedSpec)] | None = None
    layers: Sequence[Layer] = ()
    parameters: int | None = None
    steps_per_epoch: int | None = None
    memory: Memory | None = None
    duration: Duration | None = None
    columns: Sequence[str] = ()
    column_count: int | None = None
    warnings: Sequence[str]
    would_be_refused: Sequence[ProblemFault]

    @classmethod
    def of(cls, plan: Planned) -> Self:
        """From what the service found."""
        faults = [ProblemFault.model_validate(fault) for fault in plan.faults]
        return cls(warnings=plan.warnings, would_be_refused=faults, **(_outlook(plan.outlook) if plan.outlook else {}))


def _outlook(outlook: Outlook) -> dict[str, Any]:
    spec = outlook.spec
    return {
        "resolved_spec": spec.model_dump(mode="json"),
        "layers": [Layer.model_validate(layer) for layer in planning.layers_of(spec)],
        "parameters": spec.parameters,
        "steps_per_epoch": planning.steps_per_epoch(spec),
        "memory": Memory.of(outlook.room),
        "duration": Duration.of(outlook),
        "columns": outlook.columns,
        "column_count": spec.layers[0],
    }


@router.post("/plan", operation_id="plan_job", responses=problems(400, 413, 415), dependencies=[CheckedValues, CheckedText])
def plan(spec: Annotated[JobSpec, Body(openapi_examples=IRIS_BY_HAND)], caller: CallerOf, services: ServicesOf) -> Plan:
    """What a job of this spec would be, and every reason why it would be refused; nothing is stored and nothing runs."""
    return Plan.of(services.plans.plan(caller, spec))
