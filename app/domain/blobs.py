"""Where stored bytes lie: keys of files in the storage."""

import hashlib

from pydantic import BaseModel, ConfigDict

DATASETS, CHECKPOINTS, RECOVERY = "datasets", "checkpoints", "recovery"


class StoredFile(BaseModel):
    """One file of a checkpoint as the API lists it."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str


def described(name: str, data: bytes) -> StoredFile:
    """The line of a file with that content."""
    return StoredFile(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def dataset_key(dataset_id: str) -> str:
    """The dataset as typed Parquet."""
    return f"{DATASETS}/{dataset_id}/data.parquet"


def checkpoint_folder(checkpoint_id: str) -> str:
    """All files of a checkpoint."""
    return f"{CHECKPOINTS}/{checkpoint_id}"


def checkpoint_key(checkpoint_id: str, file: StoredFile) -> str:
    """One file of a checkpoint; what it holds is in its key, so that no late write can replace other bytes."""
    return f"{checkpoint_folder(checkpoint_id)}/{file.sha256[:16]}-{file.name}"


def recovery_folder(recovery_id: str) -> str:
    """All files of a recovery point."""
    return f"{RECOVERY}/{recovery_id}"


def recovery_key(recovery_id: str) -> str:
    """The state from which a job continues."""
    return f"{recovery_folder(recovery_id)}/state.safetensors"
