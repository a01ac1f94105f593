"""Features that a script does not have are refused by name, those of later versions too."""

from typing import Any

import pytest

from app.code.script import script_of
from app.domain.errors import NotSupported
from app.domain.schema import Column, Kind, StorageType
from app.domain.spec import ResolvedSpec, Split
from tests.engine.plain import spec_of


def described(*categorical: str) -> dict[str, Column]:
    number = {"kind": Kind.NUMERIC, "type": StorageType.FLOAT64, "missing": 0, "distinct": 30}
    label = {"kind": Kind.CATEGORICAL, "type": StorageType.STRING, "missing": 0, "distinct": 3, "levels": ["0", "1", "2"]}
    columns = {name: Column.model_validate({"name": name, **number}) for name in "abcy"}
    columns["e"] = Column.model_validate({**label, "name": "e", "missing": 3, "levels": ["", "0"]})
    return columns | {name: Column.model_validate({"name": name, **label, "counts": [10, 10, 10]}) for name in categorical}


@pytest.mark.parametrize(
    ("pointer", "change"),
    [
        ("/split/column", {"split": Split(method="group", column="e", stratify=False)}),
        ("/precision", {"precision": "bf16"}),
    ],
)
def test_a_feature_that_a_script_lacks_is_named(pointer: str, change: dict[str, Any]) -> None:
    spec: ResolvedSpec = spec_of(split=Split(stratify=False)).model_copy(update=change)

    with pytest.raises(NotSupported) as refused:
        script_of(spec, described("b", "c"), job="job_1")

    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert "script" in refused.value.detail


def test_a_validation_dataset_that_csv_writes_otherwise_is_named() -> None:
    spec: ResolvedSpec = spec_of(split=Split(stratify=False), validation_dataset="ds_2")
    own = described("b", "c", "y")
    whole = {"type": StorageType.INT64, "levels": [0, 1], "distinct": 2}
    changed = {
        "a": own["a"].model_copy(update={"type": StorageType.BOOL}),
        "b": own["b"].model_copy(update={"levels": ["", "1"]}),
        "c": own["c"].model_copy(update={"type": StorageType.FLOAT64, "levels": None, "distinct": 0}),
        "y": own["y"].model_copy(update=whole),
    }

    with pytest.raises(NotSupported) as refused:
        script_of(spec, own, job="job_1", validation=changed)

    assert [fault.pointer for fault in refused.value.faults] == ["/validation_dataset"] * 3
    assert [fault.detail.split("'")[1] for fault in refused.value.faults] == ["y", "a", "b"]
