"""Which members make a stack."""

from collections.abc import Sequence
from dataclasses import replace

from app.domain.front import front_of_spec
from worker.engine import data
from worker.engine.data import Member
from worker.engine.layout import Layout


def filled(members: Sequence[Member | None]) -> list[Member]:
    """Empty places get the tensors of a member that is there, not its custom loss; they are buried before the first step."""
    present = [member for member in members if member is not None]
    if not present:
        raise ValueError("A stack has at least one member.")
    loss = present[0].custom_loss
    filler = replace(present[0], custom_loss=loss and loss.silent())
    return [member or filler for member in members]


def check(members: Sequence[Member]) -> None:
    """Raises ValueError: the members cannot share a stack."""
    first, columns = members[0].spec, data.train(members[0].arrays).columns

    def shape(member: Member) -> tuple[object, ...]:
        spec, network = member.spec, member.spec.network
        kinds = (spec.task, spec.loss.name, spec.optimizer.name, spec.lr_schedule.name, spec.batch_size, spec.precision)
        rows = data.train(member.arrays)
        front = front_of_spec(spec)
        return (spec.layers, spec.embeddings, front, network.activation, network.normalization, *kinds, rows.rows, rows.columns)

    if any(shape(member) != shape(members[0]) for member in members):
        raise ValueError("The members of a stack differ in task, shape, loss, optimizer, schedule or batch size.")
    fitting = Layout(first).design_width()
    if columns != fitting:
        raise ValueError(f"{columns} columns do not fit a network of {fitting} inputs.")
