"""What the contract names and this version does not have yet: refused by name, never ignored."""

from app.domain.resolve_findings import Findings
from app.domain.spec import JobSpec


def refuse_unsupported(spec: JobSpec, findings: Findings) -> None:
    """Notes each such feature that the spec asks for."""
    if spec.recipe != "plain":
        findings.unsupported("recipe", what=f"The recipe {spec.recipe}")
