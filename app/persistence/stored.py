"""Which bytes the database has known for longest: by them a storage is recognized that has no mark yet."""

from sqlalchemy import select

from app.domain.blobs import StoredFile, batch_part_key, checkpoint_key, dataset_key
from app.domain.job import Status
from app.persistence.database import Database
from app.persistence.tables import batch_parts, batch_predictions, checkpoints, datasets

_DATASET = select(datasets.c.id).order_by(datasets.c.id).limit(1)
_CHECKPOINT = select(checkpoints.c.id, checkpoints.c.files).order_by(checkpoints.c.id).limit(1)
_PART = (
    select(batch_predictions.c.id, batch_parts.c.number, batch_parts.c.sha256)
    .join(batch_predictions, batch_predictions.c.number == batch_parts.c.batch_number)
    .where(batch_predictions.c.status == Status.SUCCEEDED)  # the bytes of others go before their rows
    .order_by(batch_parts.c.batch_number, batch_parts.c.number)
    .limit(1)
)


def oldest(database: Database) -> list[str]:
    """Keys of the oldest dataset, checkpoint and part of a batch prediction, as far as there are any.

    Only the oldest: the newest may have been written where the storage should have been.
    """
    with database.read() as connection:
        dataset, checkpoint, part = (connection.execute(query).one_or_none() for query in (_DATASET, _CHECKPOINT, _PART))
    keys = [dataset_key(dataset.id)] if dataset else []
    keys += (
        [checkpoint_key(checkpoint.id, StoredFile.model_validate(file)) for file in checkpoint.files[:1]] if checkpoint else []
    )
    return keys + ([batch_part_key(*part)] if part else [])
