"""A GPU that is pretended: tensors in the host's memory that say they are on `cuda`.

It refuses what a GPU refuses (tensors of both in one operation, a look from numpy, a wait in the middle of a recording), and
counts what makes the host wait, by the line that asked for it. What kernels compute there, it cannot show.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.engine.recording import Tape
from worker.engine import replay
from worker.engine.activations import Call
from worker.engine.data import Member

HOST, GPU = torch.device("cpu"), torch.device("cuda", 0)
# What answers the host with numbers, or with a tensor whose shape only the numbers tell.
_READ = {
    *("item", "tolist", "equal", "allclose", "nonzero", "argwhere", "masked_select", "unique", "bincount"),
    *("__bool__", "__float__", "__int__", "__index__", "__contains__", "__format__", "__repr__", "__complex__"),
}
_PLAIN = int | slice | type(None) | type(...)


class PretendedGpu(TorchFunctionMode):
    """While it is entered there is a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self._there, self._pinned = _Memory(), _Memory()
        self._forbidden = ""
        self.waits: Counter[str] = Counter()

    @contextmanager
    def without_waiting(self, why: str) -> Iterator[None]:
        """Whatever waits raises RuntimeError."""
        before, self._forbidden = self._forbidden, why
        try:
            yield
        finally:
            self._forbidden = before

    def holds(self, tensor: Tensor) -> bool:
        """Whether it says that it is on the GPU."""
        return tensor in self._there

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), func.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if self.holds(tensor)]
        if name == "pin_memory":
            if there:
                raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
            return self._pinned.noted(args[0].clone())
        if not there and not _named(GPU.type, (args, kwargs)):
            return func(*args, **kwargs)
        if name == "__get__":
            return self._attribute(func, args[0])
        if name in ("to", "cpu"):
            return self._moved(args[0], HOST if name == "cpu" else kwargs.get("device"), args[1:], kwargs.get("dtype"))
        if kwargs.get("device") is not None:
            return self._made(func, args, kwargs, there)
        if name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        self._look(name, args, kwargs, tensors, there)
        return self._all_there(func(*args, **kwargs))

    def _attribute(self, func: Any, tensor: Tensor) -> Any:
        match func.__self__.__name__:
            case "device":
                return GPU
            case "is_cuda" | "is_cpu" as name:
                return name == "is_cuda"
        return self._all_there(func(tensor))

    def _moved(self, tensor: Tensor, target: Any, args: Sequence[Any], dtype: torch.dtype | None) -> Tensor:
        device = self._device(tensor) if target is None else torch.device(target)
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = self._device(arg), arg.dtype
            elif isinstance(arg, torch.dtype):
                dtype = arg
            elif isinstance(arg, str | torch.device):
                device = torch.device(arg)
        crossing = device.type != self._device(tensor).type
        if crossing:
            self._cross(tensor)
        moved = tensor.to(dtype or tensor.dtype, copy=crossing)
        return self._all_there(moved) if device.type == GPU.type else moved

    def _cross(self, tensor: Tensor) -> None:
        if self.holds(tensor) or tensor not in self._pinned or self._forbidden == _RECORDING:
            self._wait("a copy from the GPU" if self.holds(tensor) else "a copy to the GPU")

    def _made(self, func: Any, args: Any, kwargs: Any, there: list[Tensor]) -> Any:
        device = torch.device(kwargs.pop("device"))
        if func.__name__ in ("tensor", "as_tensor") and not there:
            self._wait("a tensor of the host's numbers")
        made = func(*args, **kwargs, device="cpu")
        return self._all_there(made) if device.type == GPU.type else made

    def _look(self, name: str, args: Any, kwargs: Any, tensors: list[Tensor], there: list[Tensor]) -> None:
        """Raise where a GPU would, and count a wait where it would make the host wait."""
        here = [tensor for tensor in tensors if not self.holds(tensor)]
        if name in _READ or (name == "repeat_interleave" and len(tensors) > 1 and kwargs.get("output_size") is None):
            self._wait(name)
        if name in ("__getitem__", "__setitem__"):
            index = [part for part in (args[1] if isinstance(args[1], tuple) else args[1:2]) if not isinstance(part, _PLAIN)]
            if any(not isinstance(part, Tensor) or part.dtype == torch.bool or not self.holds(part) for part in index):
                self._wait(f"{name} by what is not numbers of rows on the GPU")
            here = [tensor for tensor in here if not any(tensor is part for part in index)]
        if name in ("copy_", "__setitem__") and here:
            self._cross(args[-1])
        elif any(tensor.dim() for tensor in here):
            shapes = [(tuple(tensor.shape), str(self._device(tensor))) for tensor in tensors]
            raise RuntimeError(f"Expected all tensors to be on the same device: {name} {shapes}")

    def _wait(self, what: str) -> None:
        if self._forbidden:
            raise RuntimeError(f"{self._forbidden}: {what}")
        self.waits[f"{what}, {_asker()}"] += 1

    def _device(self, tensor: Tensor) -> torch.device:
        return GPU if self.holds(tensor) else HOST

    def _all_there(self, result: Any) -> Any:
        return tree_map(lambda leaf: self._there.noted(leaf) if isinstance(leaf, Tensor) else leaf, result)


class _Memory:
    """Which memory is of a kind, as long as it lives; views of it are, too."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        with torch._C.DisableTorchFunction():
            found = self._known.get(tensor.untyped_storage()._cdata)
        return found is not None and not found.expired()

    def noted(self, tensor: Tensor) -> Tensor:
        """The same tensor."""
        if tensor not in self:
            with torch._C.DisableTorchFunction():
                storage = tensor.untyped_storage()
            self._known[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return tensor


class PretendedGraphs(Tape):
    """Records as CUDA graphs do: what is recorded may neither wait nor copy from the host, and runs without being asked."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def record(self, calls: Sequence[Call]) -> Call:
        """See Tape."""
        with self._gpu.without_waiting(_RECORDING):
            call = super().record(calls)

        def replay() -> None:
            with torch._C.DisableTorchFunction():
                call()

        return replay


_RECORDING = "operation not permitted when stream is capturing"


def recorder_of(gpu: PretendedGpu) -> Callable[[Sequence[Member], torch.device], replay.Recorder | None]:
    """In the place of `worker.engine.replay.of`."""
    found = replay.of

    def of(members: Sequence[Member], device: torch.device) -> replay.Recorder | None:
        if device.type != GPU.type:
            return found(members, device)
        return replay.OneByOne() if any(member.custom_loss for member in members) else PretendedGraphs(gpu)

    return of


def _named(device: str, tree: Any) -> bool:
    return any(isinstance(leaf, str | torch.device) and str(leaf).startswith(device) for leaf in tree_leaves(tree))


def _asker() -> str:
    frame: Any = sys._getframe()
    while frame.f_back and "/worker/" not in frame.f_code.co_filename:
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
