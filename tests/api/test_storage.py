"""A storage that is away: callers are told to come again, nothing is said to be gone, and nothing is stored elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.blobs import dataset_key
from app.upkeep.address import lacking
from tests.api.service import CSV, Service, Trained, assert_problem, running, settings_for
from tests.servers.disk import no_file_beyond
from tests.servers.processes import free_port

SAMPLE = {"json": {"sample": "iris"}}
FILE = {"content": CSV, "headers": {"Content-Type": "text/csv"}}
LARGE = {**FILE, "content": b"a\n" + b"1\n" * (1 << 20)}


@contextmanager
def away(service: Service) -> Iterator[None]:
    """Its folder has another name for a while."""
    root = Path(service.settings.resolved_storage_url)
    root.rename(root.with_name("elsewhere"))
    yield
    assert not root.exists()
    root.with_name("elsewhere").rename(root)


def assert_away(service: Service, method: str, path: str, **sent: object) -> None:
    with capture_logs() as lines:
        answer = service.client.request(method, path, **sent)  # type: ignore[arg-type]

    assert assert_problem(answer, 503, "unavailable")["detail"] == "The storage does not answer."
    assert answer.headers["retry-after"] == "2"
    events = [line["event"] for line in lines]
    assert "storage.failed" in events
    assert "request.crashed" not in events


def test_without_its_folder_every_request_that_needs_it_is_to_come_again(small: Service) -> None:
    dataset, trained = small.upload()["id"], (small.submit(), Trained(small))[1]
    checkpoint = trained.checkpoint(1, "best", "last")
    file = f"/v1/checkpoints/{checkpoint}/files/model.json"
    reads = [f"/v1/datasets/{dataset}/content", f"/v1/datasets/{dataset}/rows", file]
    job = {"job": trained.job.id, "dataset": dataset}

    with away(small):
        for path in reads:
            assert_away(small, "GET", path)
        assert_away(small, "GET", reads[0], headers={"Accept": "text/csv"})
        for upload in (FILE, SAMPLE):
            assert_away(small, "POST", "/v1/datasets", **upload)
        assert_away(small, "POST", f"/v1/jobs/{trained.job.id}/predict", json={"rows": [{"size": 1}]})
        assert_away(small, "POST", f"/v1/jobs/{trained.job.id}/predict?checkpoint=last", json={"rows": [{"size": 1}]})
        assert_away(small, "POST", "/v1/batch_predictions", json=job)
        ready, lacks = small.client.get("/readyz"), lacking(str(small.client.base_url))

    assert lacks == ["storage"]
    assert (ready.status_code, ready.json()["storage"]) == (503, "down")
    assert [small.client.get(path).status_code for path in reads] == [200, 200, 200]
    assert len(small.get("/v1/datasets")["data"]) == 2  # the upload, and that of the job


def test_a_bucket_that_refuses_connections_is_away(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")

    with running(settings_for(sqlite_url, tmp_path / "data", storage_url="s3://trainyard/x")) as service:
        dataset = service.described()
        assert_away(service, "POST", "/v1/datasets", **SAMPLE)
        assert_away(service, "GET", f"/v1/datasets/{dataset}/content")
        # Its row is gone: to be told to come again would end in 404. What is left of it is the janitor's.
        assert service.client.delete(f"/v1/datasets/{dataset}").status_code == 204


@pytest.mark.parametrize(("sent", "most"), [(LARGE, 1 << 20), (SAMPLE, 1000)], ids=["received", "read"])
def test_an_upload_that_finds_no_room_is_to_come_again_and_leaves_nothing(
    small: Service, sent: dict[str, Any], most: int
) -> None:
    with no_file_beyond(most), capture_logs() as lines:
        answer = small.client.post("/v1/datasets", **sent)

    assert "no room on the disk" in assert_problem(answer, 503, "unavailable")["detail"]
    assert answer.headers["retry-after"] == "2"
    assert {"storage.failed"} <= {line["event"] for line in lines} - {"request.crashed"}
    assert [path for path in small.settings.folder.glob("tmp/*") if path.is_file()] == []


def test_a_full_disk_is_told_by_readyz_and_keeps_nobody_from_predicting(small: Service) -> None:
    assert small.client.get("/readyz").status_code == 200

    with no_file_beyond(100):
        ready, predicting = small.client.get("/readyz"), small.client.get("/v2/health/ready")

    assert (ready.status_code, ready.json()["storage"]) == (503, "down")
    assert predicting.status_code == 200


def test_bytes_that_are_gone_from_a_storage_that_is_there_are_not_found(small: Service) -> None:
    id = small.upload()["id"]
    (Path(small.settings.resolved_storage_url) / dataset_key(id)).unlink()

    assert_problem(small.client.get(f"/v1/datasets/{id}/content"), 404, "not_found")
