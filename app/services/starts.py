"""What a new job takes of a checkpoint: its manifest to be judged by, and a copy of its bytes to start from."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from app.domain.blobs import StoredFile, checkpoint_key, recovery_folder, recovery_key
from app.domain.caller import Caller
from app.domain.clone import CHECKPOINT
from app.domain.continuing import Standing
from app.domain.errors import Damaged, Invalid, NotFound
from app.domain.ids import new_id
from app.domain.inheritance import UNFIT
from app.domain.manifest import MANIFEST, STATE, WEIGHTS, Manifest
from app.persistence import recovery
from app.persistence.database import Database
from app.services.checkpoints import Checkpoints, CheckpointView
from app.services.keeping import kept
from app.services.room import room_for
from app.storage.storage import Storage


@dataclass(frozen=True)
class Origin:
    """A checkpoint, and what it says of itself."""

    checkpoint: CheckpointView
    manifest: Manifest

    def file(self, name: str) -> StoredFile:
        """One of its files; Invalid where it has none of that name."""
        found = [file for file in self.checkpoint.files if file.name == name]
        if not found:
            detail = "Only the last checkpoint of a job has what its training goes on from; leave `continue` out."
            raise Invalid.at(CHECKPOINT, detail, code=UNFIT)
        return found[0]


@dataclass(frozen=True)
class Taken:
    """A copy of a checkpoint's weights or state on this machine."""

    path: Path
    file: StoredFile

    @property
    def standing(self) -> Standing:
        """Where the training of a state stood."""
        with safe_open(self.path, framework="numpy") as state:
            epoch, batch = state.get_tensor("position").tolist()
            return Standing(
                epoch=epoch,
                batch=batch,
                latest=int(state.get_tensor("latest")[0]),
                waited=int(state.get_tensor("stopper")[1]),
                seconds=float(state.get_tensor("seconds")[0]),
                moments=any(name.startswith("optimizer.") for name in state.keys()),  # noqa: SIM118 - it is no mapping
            )


class Starts:
    """Reads checkpoints and copies their bytes; memory goes by no file's size."""

    def __init__(self, database: Database, storage: Storage, checkpoints: Checkpoints) -> None:
        self._database = database
        self._storage = storage
        self._checkpoints = checkpoints

    def origin(self, caller: Caller, id: str) -> Origin:
        """A checkpoint to start from; Invalid where there is none of that id."""
        try:
            found = self._checkpoints.find(caller, id)
            return Origin(found, Manifest.model_validate_json(self._checkpoints.read(id, MANIFEST)))
        except NotFound:
            raise gone() from None

    @contextmanager
    def taken(self, origin: Origin, *, continues: bool) -> Iterator[Taken]:
        """Its state, to continue, or its weights; Damaged where they are not what was stored."""
        file, id = origin.file(STATE if continues else WEIGHTS), origin.checkpoint.row.id
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            path = Path(folder) / file.name
            try:
                with room_for("a copy of the checkpoint"):
                    digest = _copied(self._storage.stream(checkpoint_key(id, file)), path)
            except FileNotFoundError:
                raise gone() from None
            if digest != file.sha256:
                raise Damaged(id, file.name)
            yield Taken(path, file)

    @contextmanager
    def kept(self, taken: Taken) -> Iterator[str]:
        """The id of a recovery point with these bytes, which a row is to name within the block."""
        id = new_id("rec")
        with kept(self._database, self._storage, recovery_folder(id), named=lambda on: bool(recovery.known(on, [id]))):
            self._storage.put_file(recovery_key(id), taken.path)
            yield id


def _copied(pieces: Iterable[bytes], path: Path) -> str:
    """Write a file; answers its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as copy:
        for piece in pieces:
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()


def gone() -> Invalid:
    """The fault of a clone from a checkpoint that is not there, or not any more."""
    return Invalid.at(CHECKPOINT, "There is no such checkpoint.", code="not_found")
