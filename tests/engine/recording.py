"""A recorder that works on a CPU as CUDA graphs do: what is recorded are torch's operations on fixed memory, and nothing else.

While recording, an operation that writes into a tensor it was given is only noted, as in a capture; one that makes a tensor is
done, so that there is memory for its result, with whatever numbers stand there. Replaying does all of them in order, each new
tensor's numbers into the memory that was found for it. No Python of the engine runs then, so a decision that the host takes
within a step, a value that it reads, or a tensor that it replaces is frozen, and shows as other bits.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from worker.engine.activations import Call


class _Noting(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.notes: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        written = [
            kwargs.get(argument.name, args[place] if place < len(args) else None)
            for place, argument in enumerate(func._schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        if written:
            self.notes.append(lambda: func(*args, **kwargs))
            return written[0] if len(func._schema.returns) == 1 else tuple(written)
        result = func(*args, **kwargs)
        if not _memory((args, kwargs)) & _memory(result):  # what looks at memory that is there already shows its numbers
            self.notes.append(_again(func, args, kwargs, [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]))
        return result


def _memory(tree: Any) -> set[int]:
    return {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}


def _again(func: Any, args: Any, kwargs: Any, results: list[Tensor]) -> Callable[[], None]:
    def call() -> None:
        found = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
        for into, result in zip(results, found, strict=True):
            into.copy_(result)

    return call


class Tape:
    """Records everything; counts what it replays."""

    failed = False

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def record(self, calls: Sequence[Call]) -> Call:
        self.recorded += 1
        with _Noting() as noting:
            for call in calls:
                call()
        notes = noting.notes

        def replay() -> None:
            self.replayed += 1
            for note in notes:
                note()

        return replay

    def pace(self) -> None:
        """Nothing is behind."""
