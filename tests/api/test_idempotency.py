"""A key makes a creating request repeatable: whatever happens to the answer, it creates once."""

import threading
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from app.api.once import key_of
from app.domain.caller import Caller
from app.domain.errors import InFlight
from app.domain.spec import JobSpec
from app.persistence import idempotency
from app.persistence.idempotency import Pending
from app.persistence.tables import idempotency_keys
from app.services.idempotency import Idempotency, StoredAnswer
from tests.api.service import CSV, Service, assert_problem, pointers


def create(service: Service, key: str, **spec: Any) -> httpx2.Response:
    return service.client.post("/v1/jobs", json={"target": "label", **spec}, headers={"Idempotency-Key": key})


def test_the_same_request_gets_the_first_answer_again(service: Service) -> None:
    dataset = service.described()

    first, again = create(service, "k", dataset=dataset), create(service, "k", dataset=dataset)

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert len(service.get("/v1/jobs")["data"]) == 1


def test_another_request_with_the_same_key_is_refused(small: Service) -> None:
    dataset = small.described()
    create(small, "k", dataset=dataset)

    assert_problem(create(small, "k", dataset=dataset, epochs=7), 422, "idempotency_key_reused")


def test_a_refused_request_may_be_tried_again_with_its_key(small: Service) -> None:
    dataset = small.described()

    refused = create(small, "k", dataset=dataset, target="nothing")
    corrected = create(small, "k", dataset=dataset)

    assert (refused.status_code, corrected.status_code) == (422, 201)


def test_while_the_first_is_under_way_the_second_is_told_to_wait(service: Service) -> None:
    dataset = service.described()
    spec = JobSpec(dataset=dataset, target="label")
    key = key_of(Caller(), "k", "job", spec.model_dump(mode="json"))
    assert key is not None
    with service.database.write() as connection:
        idempotency.find_or_begin(connection, key)

    assert_problem(create(service, "k", dataset=dataset), 409, "in_flight")


@pytest.mark.parametrize(("answered", "seconds"), [(True, 25 * 3600), (False, 61)])
def test_a_key_is_forgotten_in_time(service: Service, answered: bool, seconds: int) -> None:
    dataset = service.described()
    create(service, "k", dataset=dataset)
    changes = {"created_at": idempotency_keys.c.created_at - seconds * 1_000_000} | ({} if answered else {"status": None})
    with service.database.write() as connection:
        connection.execute(update(idempotency_keys).values(changes))

    later = create(service, "k", dataset=dataset)

    assert (later.status_code, "idempotency-replayed" in later.headers) == (201, False)
    assert len(service.get("/v1/jobs")["data"]) == 2


def test_a_request_that_slept_until_another_began_anew_creates_nothing(service: Service) -> None:
    keys = Idempotency(service.database)
    key = key_of(Caller(), "k", "job", {})
    assert key is not None
    sleeper = keys.begin(key)
    with service.database.write() as connection:
        connection.execute(update(idempotency_keys).values(created_at=idempotency_keys.c.created_at - 61_000_000))
    successor = keys.begin(key)
    assert isinstance(sleeper, Pending)
    assert isinstance(successor, Pending)

    answer = StoredAnswer(status=201, body=b"{}", headers={})
    with pytest.raises(InFlight), service.database.write() as connection:
        keys.finish(connection, sleeper, answer)
    keys.forget(sleeper)
    with service.database.write() as connection:
        keys.finish(connection, successor, answer)

    assert keys.begin(key) == answer


def test_twenty_at_once_create_one(service: Service) -> None:
    dataset = service.described()
    answers: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(create(service, "k", dataset=dataset))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    created = {answer.content for answer in answers if answer.status_code == 201}
    waiting = [answer for answer in answers if answer.status_code != 201]
    assert len(created) == 1
    assert len(service.get("/v1/jobs")["data"]) == 1
    for answer in waiting:
        assert_problem(answer, 409, "in_flight")
        assert answer.headers["retry-after"] == "1"


def test_an_upload_is_stored_once_by_its_content(small: Service) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "text/csv"}

    first, again = (small.client.post("/v1/datasets", content=CSV, headers=headers) for _ in range(2))
    other = small.client.post("/v1/datasets", content=CSV + b"1,Ulm,no\n", headers=headers)

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert_problem(other, 422, "idempotency_key_reused")
    assert len(small.get("/v1/datasets")["data"]) == 1


def test_a_key_that_is_none_is_refused_at_its_header(shared: Service) -> None:
    assert pointers(create(shared, "no spaces", dataset=shared.described())) == ["Idempotency-Key"]
