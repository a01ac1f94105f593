"""What the services need of the world, as protocols."""

from typing import Protocol

from app.domain.allowance import Allowance


class Bell(Protocol):
    """Tells the workers that a job is worth a look."""

    def ring(self, job_id: str, device: str) -> None:
        """Return at once; a ring may get lost."""

    def check(self) -> bool:
        """True when rings are heard."""


class Rates(Protocol):
    """Counts requests."""

    @property
    def is_counting(self) -> bool:
        """False where there is no limit."""

    def answers_at_once(self, project_id: str, /) -> bool:
        """True where nobody has to be asked: there is no limit, or one of that project was counted before it came."""

    def take_at_once(self, project_id: str, /) -> Allowance | None:
        """One that was counted before it came; None where there is none."""

    async def take(self, project_id: str) -> Allowance | None:
        """One more of that project; None where nobody counts."""


class CheckpointFiles(Protocol):
    """The stored files of checkpoints."""

    def read(self, checkpoint_id: str, file: str, /) -> bytes:
        """The content of `weights.safetensors`, `model.json`, `model.onnx` or `state.safetensors`; raises NotFound."""


class Loader(Protocol):
    """Makes checkpoints ready to predict."""

    def load(self, checkpoint_id: str, /) -> None:
        """Have it in memory; raises Conflict or Damaged where it cannot be read."""
