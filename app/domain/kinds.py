"""The kinds of columns, cells and tasks: plain enumerations, so that the engine can be used without pydantic."""

from enum import StrEnum


class Kind(StrEnum):
    """How a column is read as a feature."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"


class StorageType(StrEnum):
    """How a column's cells are stored."""

    INT64 = "int64"
    FLOAT64 = "float64"
    BOOL = "bool"
    STRING = "string"
    DATETIME = "datetime"


class Task(StrEnum):
    """What a job predicts."""

    REGRESSION = "regression"
    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"

    @property
    def is_classification(self) -> bool:
        """True when the prediction is a label."""
        return self is not Task.REGRESSION
