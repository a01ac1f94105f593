"""Splits over HTTP: sizes that are right when a job is created, and datasets of one's own that are kept for it."""

import hashlib
from typing import Any

import pytest

from tests.api.service import CSV, Service, Trained, assert_problem, pointers

PARTS = ("train", "train", "train", "validation", "test")
ROWS = b"size,when,patient,part,label\n" + b"".join(
    f"{i}.5,2026-01-{1 + i % 20:02},p{i % 10},{PARTS[i % 5]},{('' if i < 5 else ('no', 'yes')[i % 2])}\n".encode()
    for i in range(40)
)
HASH = hashlib.sha256(CSV).hexdigest()


def sizes(job: dict[str, Any]) -> tuple[int, int, int]:
    spec = job["resolved_spec"]
    return spec["train_rows"], spec["validation_rows"], spec["test_rows"]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"method": "column", "column": "part"}, (21, 7, 7)),
        ({"method": "time", "column": "when"}, (27, 8, 0)),
        ({"method": "time", "column": "when", "validation": 0.1, "test": 0.1}, (27, 4, 4)),
        ({"method": "group", "column": "patient"}, (29, 6, 0)),
    ],
    ids=["column", "time", "time with test", "group"],
)
def test_a_new_job_has_its_sizes_whatever_its_split_goes_by(
    service: Service, split: dict[str, object], expected: tuple[int, int, int]
) -> None:
    job = service.submit(dataset=service.upload(ROWS)["id"], split=split, early_stopping={})

    assert sizes(job) == expected
    assert split["column"] not in job["resolved_spec"]["features"]
    assert job["resolved_spec"]["split"]["stratify"] is False


def test_cells_that_name_no_part_are_told_with_the_column_and_other_faults(shared: Service) -> None:
    dataset = shared.upload(ROWS.replace(b"validation", b"holdout"))["id"]
    spec = {"dataset": dataset, "target": "label", "features": ["nope"], "split": {"method": "column", "column": "part"}}

    answer = shared.client.post("/v1/jobs", json=spec)

    assert pointers(answer) == ["/features/0", "/split/column"]
    [fault] = [fault for fault in answer.json()["errors"] if fault["pointer"] == "/split/column"]
    assert fault["detail"] == "Column 'part' says something else than train, validation, test in 7 row(s) that have a target."


def test_of_several_targets_with_gaps_every_dataset_counts_its_own_whole_rows(service: Service) -> None:
    train = service.upload(b"x,a,b\n" + b"1.5,2.5,3.5\n2.5,,4.5\n3.5,4.5,\n4.5,5.5,1.5\n" * 5)["id"]
    validation = service.upload(b"b,a,x\n" + b"3.5,2.5,1.5\n,,2.5\n,4.5,3.5\n4.5,,1.5\n" * 3)["id"]
    usual = {"dataset": train, "target": ["a", "b"], "features": ["x"]}

    drawn, own, by_group = (
        service.submit(**usual, **spec)
        for spec in ({}, {"validation_dataset": validation}, {"split": {"method": "group", "column": "x"}})
    )

    assert (sizes(drawn), sizes(own), sizes(by_group)) == ((8, 2, 0), (10, 3, 0), (5, 5, 0))


def test_a_job_remembers_the_datasets_that_it_validates_and_tests_on(service: Service) -> None:
    train, validation, test = (service.upload(content)["id"] for content in (CSV, CSV + b"9.5,Ulm,no\n", CSV))

    job = service.submit(dataset=train, validation_dataset=validation, test_dataset=test)

    assert sizes(job) == (40, 41, 40)
    assert job["reproducibility"] == {
        "dataset_sha256": HASH,
        "validation_dataset_sha256": hashlib.sha256(CSV + b"9.5,Ulm,no\n").hexdigest(),
        "test_dataset_sha256": HASH,
        "seed": 42,
    }


@pytest.mark.parametrize("place", ["validation_dataset", "test_dataset"])
def test_no_dataset_that_a_live_job_needs_is_deleted(service: Service, place: str) -> None:
    train, own = service.upload()["id"], service.upload()["id"]
    service.submit(dataset=train, **{place: own})

    refused = service.client.delete(f"/v1/datasets/{own}")
    Trained(service).finish()
    deleted = service.client.delete(f"/v1/datasets/{own}")

    assert_problem(refused, 409, "conflict")
    assert deleted.status_code == 204


def test_a_dataset_of_one_s_own_that_is_missing_or_does_not_match_is_refused_at_its_place(shared: Service) -> None:
    other = shared.upload(b"size,label\n1.5,maybe\n")["id"]
    spec = {"dataset": shared.upload()["id"], "target": "label", "validation_dataset": "ds_none", "test_dataset": other}

    answer = shared.client.post("/v1/jobs", json=spec)

    assert pointers(answer) == ["/test_dataset", "/test_dataset", "/validation_dataset"]
    assert [fault["detail"] for fault in answer.json()["errors"] if fault["pointer"] == "/test_dataset"] == [
        f"Column 'city' of the dataset {other} is not there.",
        f"Column 'label' of the dataset {other} has labels that the job's own dataset lacks, in 1 row(s).",
    ]
