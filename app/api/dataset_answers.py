"""The bodies of answers about datasets."""

from typing import Literal, Self

from app.api.answer_examples import COLUMNS, DATASET, DESCRIBED_DATASET, ROWS, shown
from app.api.answers import Answer, Time
from app.domain.schema import Column, Level
from app.persistence.rows import DatasetRow
from app.tabular.statistics import CategoricalStatistics, DatetimeStatistics, NumericStatistics


class Dataset(Answer):
    """Immutable rows with a schema; `bytes` and `sha256` are those of the upload."""

    model_config = shown(DATASET)

    id: str
    object: Literal["dataset"] = "dataset"
    name: str | None
    rows: int
    bytes: int
    sha256: str
    created_at: Time


class DescribedDataset(Dataset):
    """A dataset with its columns."""

    model_config = shown(DESCRIBED_DATASET)

    columns: list[Column]

    @classmethod
    def of(cls, row: DatasetRow) -> Self:
        """From its row."""
        return cls.model_validate(row)


class DatasetColumns(Answer):
    """Statistics of a dataset's columns."""

    model_config = shown(COLUMNS)

    object: Literal["columns"] = "columns"
    dataset: str
    data: list[NumericStatistics | CategoricalStatistics | DatetimeStatistics]


class RowList(Answer):
    """One page of a dataset's rows, in their order; `next` is how many to skip for the next one."""

    model_config = shown(ROWS)

    object: Literal["list"] = "list"
    data: list[dict[str, Level | None]]
    has_more: bool
    next: str | None
