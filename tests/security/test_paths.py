"""Every spelling of another place in every parameter of every path: there is no such thing, and no file is read."""

import http.client
from urllib.parse import urlsplit

import pytest

from app.domain.ids import new_id
from tests.api.service import Service, Trained
from tests.security.routes import WITH_PARAMETERS, Operation

SPELLINGS = [
    "..", "%2e%2e", "..%2f..%2ftrainyard.db", "%2e%2e%2f%2e%2e%2ftrainyard.db", "..%5c..%5ctrainyard.db",
    "....%2f%2ftrainyard.db", "%252e%252e%252ftrainyard.db", "..%c0%af..%c0%aftrainyard.db",
    "%c0%ae%c0%ae%c0%aftrainyard.db", "%ef%bc%8e%ef%bc%8e%ef%bc%8fx", "%e2%80%a5%2fx", "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd", "C:%5cwindows%5cwin.ini", "model.json%00.txt", "%00", "%0d%0aX-A:b", "%ff%fe",
    "%ed%a0%80", "%20", "*", "%25", "'%20OR%201=1--", "ckpt_%25", "None", "-1", "%1b%5b2J", "{job_id}", "a" * 5000,
]  # fmt: skip
REFUSED = {400, 404, 405, 415, 422}
MARKS = ("SQLite format", "root:", "PAR1", "Traceback", "/work", "site-packages", "sqlalchemy")

# A body without a fault for each kind of operation that has one.
FITTING: dict[str, object] = {
    "predict": {"rows": [{}]},
    "infer": {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 1], "data": [1]}]},
    "clone": {},
    "evaluate": {"dataset": "ds_none"},
    "versions": {"checkpoint": "ckpt_1"},
    "{alias}": {"version": 1},
}


def asked(service: Service, method: str, path: str) -> tuple[int, str, str]:
    """The answer to a request line exactly as it is given; a client would tidy it."""
    connection = http.client.HTTPConnection(urlsplit(str(service.client.base_url)).netloc, timeout=30)
    try:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


@pytest.fixture(scope="module")
def ids(opened: Service) -> dict[str, str]:
    """One of each kind of thing that has an id."""
    dataset = opened.upload()["id"]
    sweep = {"spec": {"dataset": dataset, "target": "label"}, "search": {"seed": {"range": [0, 1]}}, "method": "grid"}
    made = {"dataset_id": dataset, "sweep_id": opened.post("/v1/sweeps", sweep, status=201)["id"]}
    opened.post(f"/v1/sweeps/{made['sweep_id']}/cancel")
    made["job_id"] = opened.submit(dataset=dataset)["id"]
    made["checkpoint_id"] = Trained(opened).checkpoint(1, "best")
    made["name"] = opened.post("/v1/models", {"name": "a-model"}, status=201)["name"]
    return made


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=str)
def test_no_spelling_leads_anywhere(opened: Service, ids: dict[str, str], operation: Operation) -> None:
    for parameter in operation.parameters:
        for spelling in SPELLINGS:
            path = operation.at(spelling, only=parameter, otherwise=ids["checkpoint_id"])
            status, type, body = asked(opened, operation.method, path)
            assert (status in REFUSED, type) == (True, "application/problem+json"), (path, status, body)
            assert not [mark for mark in MARKS if mark in body], path


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=str)
def test_an_id_of_another_kind_and_one_of_nobody_are_told_alike(
    opened: Service, ids: dict[str, str], operation: Operation
) -> None:
    first = operation.parameters[0]
    body = FITTING[operation.path.rpartition("/")[2]] if operation.has_body else None
    others = [id for kind, id in ids.items() if kind != first]

    for id in [*others, new_id("job"), new_id("ds")]:
        answer = opened.client.request(operation.method, operation.at(id), json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text


@pytest.mark.parametrize(
    "name", ["..%2f..%2f..%2ftrainyard.db", "state.safetensors", "MODEL.JSON", "model.json%00", ".tmp-1", ""]
)
def test_a_checkpoint_has_only_the_files_that_it_names(opened: Service, ids: dict[str, str], name: str) -> None:
    status, _, body = asked(opened, "GET", f"/v1/checkpoints/{ids['checkpoint_id']}/files/{name}")

    assert status == 404, body
    assert asked(opened, "GET", f"/v1/checkpoints/{ids['checkpoint_id']}/files/model.json")[0] == 200


@pytest.mark.parametrize(
    "value", ["..%2f..%2fx", "%00", "%ff", "%ed%a0%80", "'%20OR%201=1--", "a" * 5000, "99999999999999999999", "NaN"]
)
def test_no_text_in_a_query_is_more_than_a_text(opened: Service, ids: dict[str, str], value: str) -> None:
    job = f"/v1/jobs/{ids['job_id']}"
    places = [
        "/v1/jobs?name=",
        "/v1/jobs?after=",
        "/v1/jobs?dataset=",
        "/v1/jobs?limit=",
        "/v1/datasets?after=",
        f"{job}?wait=",
    ]
    places += [
        f"{job}/events?after=",
        f"{job}/history?after=",
        f"{job}/history?every=",
        f"/v1/sweeps/{ids['sweep_id']}/jobs?after=",
    ]
    for place in places:
        status, _, body = asked(opened, "GET", f"{place}{value}")
        assert status in {200, 400, 404, 422}, (place, body)
        assert not [mark for mark in MARKS if mark in body], place
