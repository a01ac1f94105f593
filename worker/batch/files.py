"""What a batch prediction reads of its own files."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from app.domain.blobs import StoredFile, batch_model_key
from app.domain.errors import InvalidData
from app.persistence.batch_rows import BatchPredictionRow, PartRow
from app.storage.storage import Storage


class BatchFiles:
    """Nothing is used that is not what was stored: InvalidData."""

    def __init__(self, storage: Storage, row: BatchPredictionRow) -> None:
        self._storage, self._id = storage, row.id
        self._files = {file["name"]: StoredFile.model_validate(file) for file in row.files}

    def model(self, name: str) -> bytes:
        """`model.json` or `model.onnx` of what it predicts with."""
        file = self._files[name]
        try:
            data = self._storage.get(batch_model_key(self._id, file))
        except FileNotFoundError:
            raise _unusable(name) from None
        return _checked(name, data, file.sha256)

    def outlines(self, parts: Sequence[PartRow], *, alive: Callable[[], None]) -> Iterator[tuple[bytes, int]]:
        """Of each part the outline, and how many bytes of content it has."""
        for part in parts:
            alive()
            end = part.content_bytes + part.outline_bytes
            outline = b"".join(self._storage.stream(part.key(self._id), start=part.content_bytes, end=end))
            yield _checked(f"part {part.number}", outline, part.outline_sha256), part.content_bytes


def _checked(name: str, data: bytes, sha256: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _unusable(name)
    return data


def _unusable(name: str) -> InvalidData:
    return InvalidData(f"The stored {name} of the batch prediction is damaged or gone: ask for another one.")
