"""What a job may cost at most: limits of an installation, looked at before anything is queued."""

from dataclasses import dataclass
from typing import Final

from app.domain.resolve_findings import Findings
from app.domain.spec import JobSpec

CODE: Final = "too_large"


@dataclass(frozen=True, kw_only=True)
class CostLimits:
    """The most that one job may ask for; the defaults are those of the settings."""

    parameters: int = 50_000_000
    layers: int = 64
    """Hidden ones."""
    epochs: int = 10_000_000
    row_epochs: int = 10**12
    """Training rows times epochs: at a million rows a second more than eleven days."""


def check_asked(spec: JobSpec, limits: CostLimits, findings: Findings) -> None:
    """Notes what is too much whatever the dataset."""
    layers = len(spec.network.hidden_layers)
    if layers > limits.layers:
        detail = f"The network has {layers} hidden layers; the limit is {limits.layers}."
        findings.fault("network", "hidden_layers", detail=detail, code=CODE)
    if spec.epochs > limits.epochs:
        findings.fault("epochs", detail=f"The limit is {limits.epochs} epochs.", code=CODE)


def check_parameters(parameters: int, limits: CostLimits, findings: Findings) -> None:
    """Notes a network that is larger than this installation takes."""
    if parameters > limits.parameters:
        detail = f"The network has {parameters} parameters; the limit is {limits.parameters}."
        findings.fault("network", "hidden_layers", detail=detail, code=CODE)


def check_rows(spec: JobSpec, train_rows: int, limits: CostLimits, findings: Findings) -> None:
    """Notes a training that would see more rows than this installation takes."""
    seen = spec.epochs * train_rows
    if seen > limits.row_epochs >= train_rows and spec.epochs <= limits.epochs:
        most = limits.row_epochs // train_rows
        detail = f"{spec.epochs} epochs of {train_rows} training rows are {seen}; the limit is {limits.row_epochs}"
        findings.fault("epochs", detail=f"{detail}, which is {most} epochs of so many rows.", code=CODE)
    elif train_rows > limits.row_epochs:
        detail = f"There are {train_rows} training rows; the limit of rows times epochs is {limits.row_epochs}."
        findings.fault("dataset", detail=detail, code=CODE)
