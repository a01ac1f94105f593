"""HEAD: the answer to a GET without its body."""

import httpx2
import pytest

from tests.api.service import Service, Trained, assert_problem
from tests.persistence.batches import asked
from tests.security.routes import OPERATIONS, Operation

READING = [operation for operation in OPERATIONS if operation.method == "GET"]
OF_EACH_ANSWER = {"date", "x-request-id", "content-length", "transfer-encoding"}


@pytest.fixture(scope="module")
def ids(shared: Service) -> dict[str, str]:
    """One of each kind of thing; the job is still trained."""
    dataset = shared.upload()["id"]
    sweep = {"spec": {"dataset": dataset, "target": "label"}, "search": {"seed": {"range": [0, 1]}}, "method": "grid"}
    made = {"dataset_id": dataset, "sweep_id": shared.post("/v1/sweeps", sweep, status=201)["id"], "name": "model.json"}
    shared.post(f"/v1/sweeps/{made['sweep_id']}/cancel")
    made["job_id"] = shared.submit(dataset=dataset, priority=100)["id"]
    made["checkpoint_id"] = Trained(shared).checkpoint(1, "best")
    made["batch_id"] = asked(shared.database).id
    shared.post("/v1/models", {"name": made["name"]}, status=201)
    return made | {"version": "1", "alias": "default"}


@pytest.mark.parametrize("operation", READING, ids=str)
def test_what_answers_get_answers_head(shared: Service, ids: dict[str, str], operation: Operation) -> None:
    path = operation.path.format_map(ids)
    with shared.client.stream("GET", path) as got:
        if not operation.path.endswith("/stream"):  # which has no end while the job is trained
            got.read()

    head = shared.client.head(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert told(head) == told(got)
    assert head.headers["x-request-id"]


def told(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OF_EACH_ANSWER}


def test_a_download_s_size_is_told_before_it_is_taken(shared: Service, ids: dict[str, str]) -> None:
    path = f"/v1/datasets/{ids['dataset_id']}/content"

    assert int(shared.client.head(path).headers["content-length"]) == len(shared.client.get(path).content)
    assert shared.client.head(path, headers={"Range": "bytes=2-5"}).headers["content-length"] == "4"


def test_where_there_is_nothing_to_get_head_is_told_so(shared: Service) -> None:
    assert shared.client.head("/v1/jobs/job_x").status_code == 404
    assert shared.client.head("/v1/jobs/job_x/cancel").headers["allow"] == "POST"


def test_after_heads_of_all_kinds_the_connection_still_serves(shared: Service, ids: dict[str, str]) -> None:
    for _ in range(3):
        assert shared.client.head(f"/v1/jobs/{ids['job_id']}/stream").status_code == 200

    assert_problem(shared.client.get("/v1/nothing"), 404, "not_found")
