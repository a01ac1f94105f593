"""Where stored bytes lie: keys of files in the storage."""

import hashlib

from pydantic import BaseModel, ConfigDict

DATASETS, CHECKPOINTS, RECOVERY, BATCHES = "datasets", "checkpoints", "recovery", "batch_predictions"


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


def batch_folder(batch_id: str) -> str:
    """All files of a batch prediction."""
    return f"{BATCHES}/{batch_id}"


def batch_model_folder(batch_id: str) -> str:
    """Its copy of what it predicts with; needed until it is over."""
    return f"{batch_folder(batch_id)}/model"


def batch_model_key(batch_id: str, file: StoredFile) -> str:
    """`model.json` or `model.onnx` of the copy."""
    return f"{batch_model_folder(batch_id)}/{file.sha256[:16]}-{file.name}"


def batch_part_key(batch_id: str, number: int, sha256: str) -> str:
    """A part of what was predicted; as of a checkpoint's files, what it holds is in its key."""
    return f"{batch_folder(batch_id)}/parts/{number:08}-{sha256[:16]}"
