"""A spec: everything that decides what a job trains, as a caller writes it and as it was resolved."""

from typing import Annotated, Literal

from pydantic import Field

from app.domain.schema import Task
from app.domain.spec.blocks import (
    WHOLE,
    Block,
    Checkpoints,
    ColumnKinds,
    Count,
    EarlyStopping,
    Embedding,
    Ensemble,
    Preprocessing,
    Split,
    Window,
)
from app.domain.spec.front import ParameterGroups
from app.domain.spec.losses import Auto, Loss
from app.domain.spec.network import Network
from app.domain.spec.optimizers import Adam, Optimizer
from app.domain.spec.schedules import Constant, LrSchedule, RegularizationSchedule

Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)]
Epochs = Annotated[int, Field(ge=1, le=10_000_000), WHOLE]
Seed = Annotated[int, Field(ge=0, lt=2**63), WHOLE]


class JobSpec(Block):
    """What `POST /v1/jobs` takes; only `dataset` and `target` are required."""

    name: Annotated[str, Field(max_length=200)] | None = None
    dataset: str
    target: Annotated[
        str | Annotated[list[str], Field(min_length=1)],
        Field(description="A column, or several: all numeric for one regression, all boolean for a multilabel classification."),
    ]
    features: list[str] | None = None
    columns: ColumnKinds = {}
    recipe: Literal["plain", "fast", "strong", "best"] = "plain"
    optimize: (
        Annotated[
            Literal["error", "log_loss", "auc"],
            Field(description="What a recipe's epoch is chosen by; `error` unless said, and for numbers always."),
        ]
        | None
    ) = None
    task: Literal["auto"] | Annotated[Task, Field(strict=False)] = "auto"
    preprocessing: Preprocessing = Preprocessing()
    split: Split = Split()
    validation_dataset: str | None = None
    test_dataset: str | None = None
    network: Network = Network()
    ensemble: Ensemble | None = None
    loss: Loss = Auto()
    optimizer: Optimizer = Adam(name="adam")
    lr_schedule: LrSchedule = Constant(name="constant")
    parameter_groups: ParameterGroups = ParameterGroups()
    regularization_schedule: Annotated[
        RegularizationSchedule,
        Field(
            description="What dropout and weight decay are multiplied by: `flat_cosine` is 1 up to the middle, then falls to 0."
        ),
    ] = "constant"
    calibration: Annotated[
        Literal["none", "temperature"],
        Field(description="`temperature` divides the logits of every checkpoint by what its validation rows fit best."),
    ] = "none"
    clip_predictions: Annotated[
        bool, Field(description="Predicted numbers lie within the range of the training rows' targets, in every metric, too.")
    ] = False
    epochs: Epochs = 200
    batch_size: Count | Literal["full", "auto", "even"] = 64
    early_stopping: EarlyStopping | None = None
    gradient_clip_norm: Annotated[float, Field(gt=0)] | None = None
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None = None
    sample_weight: str | None = None
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    checkpoints: Checkpoints = Checkpoints()
    record_every: Count = 1
    seed: Seed = 42
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "fp64", "bf16"] = "fp32"
    pack: bool = True
    priority: Annotated[int, Field(ge=-100, le=100), WHOLE] = 0
    metadata: Metadata = {}


class ResolvedSpec(JobSpec):
    """A spec in which nothing is left open: what the worker trains and `resolved_spec` shows.

    Sizes are counted over the rows whose target is known: `train_rows + validation_rows + test_rows`.
    """

    target: str | list[str]
    features: list[str]
    task: Annotated[Task, Field(strict=False)]
    classes: list[bool | int | float | str] | None
    """Labels in the order of the network's outputs, sorted; for multilabel the columns of `target`; None for regression."""
    batch_size: int
    train_rows: int
    validation_rows: int
    test_rows: int
    layers: list[int]
    """Widths from the input after preprocessing and embedding to the output, both included."""
    embeddings: list[Embedding] = []
    """In the order of the features; their vectors are the network's last inputs."""
    numeric_feature_columns: list[str] = []
    """The columns with `network.numeric_features`, in their order; these are inputs behind all but the embeddings."""
    parameters: int
    """All that is trained, of all networks."""
    streaming: bool = False
    """True where the rows do not fit into memory: they are read from disk, epoch by epoch."""
    window: Window | None = None
    """What is shuffled together; None where all rows are."""

    @property
    def networks(self) -> int:
        """How many train."""
        return self.ensemble.members if self.ensemble else 1

    @property
    def has_folds(self) -> bool:
        """True where each network leaves out its own part of the training rows."""
        return self.ensemble is not None and self.ensemble.folds is True

    @property
    def judged_rows(self) -> int:
        """On how many rows each epoch is validated: with folds on those that are trained on, each by a network without it."""
        return self.train_rows if self.has_folds else self.validation_rows
