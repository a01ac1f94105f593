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
    if spec.split.method != "random":
        findings.unsupported("split", "method", what=f"Splitting by {spec.split.method}")
    elif spec.split.column is not None:
        findings.fault("split", "column", detail="A random split reads no column.")
    for name in ("validation_dataset", "test_dataset"):
        if getattr(spec, name) is not None:
            findings.unsupported(name, what="A dataset of its own for this part")
    if isinstance(spec.target, list) and len(spec.target) > 1:
        findings.unsupported("target", what="A target of several columns")
    if spec.task == Task.MULTILABEL:
        findings.unsupported("task", what="Multilabel classification")
    if spec.precision == "bf16":
        findings.unsupported("precision", what="bf16")
