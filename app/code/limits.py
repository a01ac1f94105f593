"""What a script cannot say yet, refused by name."""

from collections.abc import Mapping

from app.domain.custom import is_custom
from app.domain.resolve_features import kind_of
from app.domain.resolve_findings import Findings
from app.domain.schema import Column, Kind, StorageType, Task
from app.domain.spec import ResolvedSpec


def check_expressible(spec: ResolvedSpec, described: Mapping[str, Column]) -> None:
    """Raises NotSupported: with each feature of the spec that a script does not have, by JSON Pointer into the spec."""
    findings = Findings()
    lacking = {
        ("recipe",): (spec.recipe != "plain", f"The recipe {spec.recipe}"),
        ("validation_dataset",): (spec.validation_dataset is not None, "A validation dataset"),
        ("test_dataset",): (spec.test_dataset is not None, "A test dataset"),
        ("target",): (not isinstance(spec.target, str), "A target of several columns"),
        ("task",): (spec.task is Task.MULTILABEL, "Multilabel classification"),
        ("loss", "name"): (is_custom(spec.loss.name), "A custom loss"),
        ("precision",): (spec.precision not in ("fp32", "fp64"), f"The precision {spec.precision}"),
        ("streaming",): (spec.streaming, "Streaming from disk"),
    }
    for place, (found, what) in lacking.items():
        if found:
            findings.unsupported(*place, what=f"{what} in a script")
    if isinstance(spec.target, str):
        _check_columns(spec, described, findings)
    findings.raise_faults()


def _check_columns(spec: ResolvedSpec, described: Mapping[str, Column], findings: Findings) -> None:
    """Notes what CSV cannot tell apart, and a column that may have nothing to learn from."""
    if spec.classes is not None and "" in spec.classes:
        findings.unsupported("target", what="A class whose label is the empty text, in a script,")
    if spec.split.method == "group" and _is_blurred(described[spec.split.column or ""]):
        what = f"Grouping by {spec.split.column!r}, where CSV may show missing cells and empty text alike, in a script,"
        findings.unsupported("split", "column", what=what)
    for position, name in enumerate(spec.features):
        column = described[name]
        categorical = kind_of(spec, column) is Kind.CATEGORICAL
        if categorical and "" in (column.levels or ()):
            findings.unsupported("features", position, what=f"The empty text as a level of {name!r}, in a script,")
        elif column.missing >= spec.train_rows:
            findings.unsupported("features", position, what=f"{name!r}, which may be wholly missing in training, in a script,")


def _is_blurred(column: Column) -> bool:
    """True where a column of text lacks cells and may have the empty text, too."""
    return column.type is StorageType.STRING and column.missing > 0 and (column.levels is None or "" in column.levels)
