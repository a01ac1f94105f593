"""What the contract names and this version does not have yet: refused by name, never ignored."""

from app.domain.resolve_findings import Findings
from app.domain.schema import Task
from app.domain.spec import JobSpec


def refuse_unsupported(spec: JobSpec, findings: Findings) -> None:
    """Notes each such feature that the spec asks for."""
    if spec.recipe != "plain":
        findings.unsupported("recipe", what=f"The recipe {spec.recipe}")
    if spec.preprocessing.categorical == "embedding":
        findings.unsupported("preprocessing", "categorical", what="An embedding")
    if isinstance(spec.target, list) and len(spec.target) > 1:
        findings.unsupported("target", what="A target of several columns")
    if spec.task == Task.MULTILABEL:
        findings.unsupported("task", what="Multilabel classification")
    if spec.loss.name.startswith("custom:"):
        findings.unsupported("loss", "name", what="A custom loss")
    if spec.precision == "bf16":
        findings.unsupported("precision", what="bf16")
