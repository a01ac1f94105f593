"""Checkpoints that are ready to predict, kept in memory up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from threading import Lock

from app.domain.manifest import MANIFEST, ONNX, Manifest
from app.serving.features import Features
from app.serving.inputs import InputReader
from app.serving.predict import Predictor, open_session

# Measured: a session takes 0.07 to 0.15 MB, and 1.1 times the bytes of its file; rounded up.
SESSION_BYTES = 200_000
BYTES_PER_BYTE = 2
# Threads that load and do nothing else, so that a slow storage holds up no checkpoint that is in memory.
LOADS = 8


@dataclass(frozen=True)
class Ready:
    """A checkpoint in memory: what reads requests for it, and what answers them."""

    reader: InputReader
    predictor: Predictor
    manifest: Manifest
    features: Features
    bytes: int
    """About what it takes in memory."""


class Unreadable(Exception):
    """Raised when a checkpoint's files are whole, but not what this version can predict with."""


class Sessions:
    """The least recently used give way; a checkpoint is loaded once, however many ask for it at the same time."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = Lock()
        self._ready: OrderedDict[str, Ready] = OrderedDict()
        self._loading: dict[str, Future[Ready]] = {}
        self._loaders = ThreadPoolExecutor(LOADS, thread_name_prefix="load")

    def peek(self, checkpoint_id: str) -> Ready | None:
        """The checkpoint if it is in memory; never waits for a load, so an event loop may call it."""
        with self._lock:
            return self._touch(checkpoint_id)

    def get(self, checkpoint_id: str, read: Callable[[str], bytes]) -> Ready:
        """The checkpoint, loaded if need be from its files; `read` takes a file's name. What it raises is raised here."""
        return self.ask(checkpoint_id, read).result()

    def ask(self, checkpoint_id: str, read: Callable[[str], bytes]) -> Future[Ready]:
        """As `get`, without waiting: the future is everyone's who asks, so nobody may cancel it."""
        with self._lock:
            ready = self._touch(checkpoint_id)
            if ready is not None:
                return _done(ready)
            if checkpoint_id not in self._loading:
                self._loading[checkpoint_id] = self._loaders.submit(copy_context().run, self._load, checkpoint_id, read)
            return self._loading[checkpoint_id]

    def held(self) -> list[str]:
        """The ids of all checkpoints in memory."""
        with self._lock:
            return list(self._ready)

    def forget(self, checkpoint_id: str) -> None:
        """Drops a checkpoint that was deleted; who has it in use goes on with it."""
        with self._lock:
            self._ready.pop(checkpoint_id, None)

    def _touch(self, checkpoint_id: str) -> Ready | None:
        if checkpoint_id in self._ready:
            self._ready.move_to_end(checkpoint_id)
        return self._ready.get(checkpoint_id)

    def _load(self, checkpoint_id: str, read: Callable[[str], bytes]) -> Ready:
        try:
            ready = load(read)
        except BaseException:
            with self._lock:
                del self._loading[checkpoint_id]
            raise
        with self._lock:
            self._ready[checkpoint_id] = ready
            del self._loading[checkpoint_id]
            self._shrink()
        return ready

    def _shrink(self) -> None:
        """The newest stays, however large it is."""
        total = sum(ready.bytes for ready in self._ready.values())
        while total > self._limit and len(self._ready) > 1:
            total -= self._ready.popitem(last=False)[1].bytes


def _done(ready: Ready) -> Future[Ready]:
    found = Future[Ready]()
    found.set_result(ready)
    return found


def load(read: Callable[[str], bytes]) -> Ready:
    """A checkpoint from its model.json and model.onnx."""
    described, content = read(MANIFEST), read(ONNX)
    try:
        manifest = Manifest.model_validate_json(described)
        predictor = Predictor(open_session(content), manifest)
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    size = SESSION_BYTES + BYTES_PER_BYTE * len(content)
    return Ready(InputReader(manifest.columns), predictor, manifest, Features.of(manifest), size)
