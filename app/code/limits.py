"""What a script cannot say yet, refused by name."""

from collections.abc import Mapping

from app.code.columns import may_be_empty, with_gaps_of, written_otherwise
from app.domain.resolve_features import kind_of
from app.domain.resolve_findings import Findings
from app.domain.schema import Column, Kind
from app.domain.spec import ResolvedSpec


def check_expressible(
    spec: ResolvedSpec, described: Mapping[str, Column], validation: Mapping[str, Column] | None = None
) -> None:
    """Raises NotSupported: with each feature of the spec that a script does not have, by JSON Pointer into the spec."""
    findings = Findings()
    if spec.precision == "bf16":
        findings.unsupported("precision", what="The precision bf16 in a script")
    _check_columns(spec, with_gaps_of(validation, described), findings)
    for name in written_otherwise(spec, described, validation) if validation is not None else ():
        what = f"Column {name!r}, which CSV may write otherwise in the validation dataset, in a script,"
        findings.unsupported("validation_dataset", what=what)
    findings.raise_faults()


def _check_columns(spec: ResolvedSpec, described: Mapping[str, Column], findings: Findings) -> None:
    """Notes where CSV cannot tell the empty text from a missing cell."""
    if isinstance(spec.target, str) and "" in (spec.classes or ()) and described[spec.target].missing:
        findings.unsupported("target", what="A class whose label is the empty text, beside missing ones, in a script,")
    groups = described[spec.split.column or ""] if spec.split.method == "group" else None
    if groups is not None and groups.missing and may_be_empty(groups):
        what = f"Grouping by {groups.name!r}, where CSV may show missing cells and empty text alike, in a script,"
        findings.unsupported("split", "column", what=what)
    for position, name in enumerate(spec.features):
        categorical = kind_of(spec, described[name]) is Kind.CATEGORICAL
        filled = described[name].missing or spec.preprocessing.missing == "most_frequent"
        if categorical and filled and "" in (described[name].levels or ()):
            what = f"The empty text as a level of {name!r}, beside missing cells, in a script,"
            findings.unsupported("features", position, what=what)
