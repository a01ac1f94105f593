"""Keys over HTTP: told once, good until they end, used for what they may; on both databases."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, insert, select, text, update

from app.domain.caller import DEFAULT_PROJECT
from app.domain.errors import Unavailable
from app.persistence.database import Database, now
from app.persistence.tables import idempotency_keys, keys
from app.services.keyring import Keyring
from tests.api.keys import bearer, holder, locked_service, make
from tests.api.service import Service, assert_problem, pointers, running, settings_for
from tests.servers.processes import wait_until


@pytest.fixture
def locked(database_url: str, valkey_server: str, tmp_path: Path) -> Iterator[Service]:
    with locked_service(database_url, tmp_path / "data", broker=valkey_server) as service:
        yield service


def status(service: Service, secret: str, path: str = "/v1/jobs") -> int:
    return service.client.get(path, headers=bearer(secret)).status_code


def test_a_key_is_told_once_and_kept_as_a_hash(locked: Service) -> None:
    made = make(locked, name="nightly")
    [listed] = locked.get("/v1/keys")["data"]
    with locked.database.read() as connection:
        stored = str(connection.execute(select(keys)).mappings().all())

    assert made["secret"].startswith(f"{made['prefix']}_")
    assert (made["object"], made["project"], made["scopes"]) == ("key", "default", ["read", "write"])
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"] not in stored
    assert made["secret"].removeprefix(f"{made['prefix']}_") not in stored
    assert status(locked, made["secret"]) == 200


def test_a_replayed_answer_comes_without_the_secret(locked: Service) -> None:
    first, again = (locked.client.post("/v1/keys", json={}, headers={"Idempotency-Key": "k"}) for _ in range(2))
    with locked.database.read() as connection:
        kept = connection.execute(select(idempotency_keys.c.body)).scalar_one()

    secret = first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}
    assert again.headers["idempotency-replayed"] == "true"
    assert secret.encode() not in kept
    assert len(locked.get("/v1/keys")["data"]) == 1


@pytest.mark.parametrize("change", ["", "x", "-"])
def test_nearly_the_secret_is_not_the_secret(locked: Service, change: str) -> None:
    secret = make(locked)["secret"]
    last = "A" if secret[-1] != "A" else "B"

    assert status(locked, secret[:-1] + (change or last)) == 401
    assert status(locked, secret + change) == (401 if change else 200)


def test_a_revoked_key_is_refused_from_the_next_request_on_in_every_process(
    database_url: str, valkey_server: str, tmp_path: Path
) -> None:
    with (
        locked_service(database_url, tmp_path / "data", broker=valkey_server) as one,
        locked_service(database_url, tmp_path / "data", broker=valkey_server) as other,
    ):
        for _ in range(5):
            made = make(one)
            assert [status(one, made["secret"]), status(other, made["secret"])] == [200, 200]

            assert one.client.delete(f"/v1/keys/{made['id']}").status_code == 204

            assert [status(other, made["secret"]), status(one, made["secret"])] == [401, 401]
        assert one.get("/v1/keys")["data"] == []
        assert_problem(one.client.delete(f"/v1/keys/{made['id']}"), 404, "not_found")


def test_a_key_ends_at_its_time(locked: Service) -> None:
    made = make(locked, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert status(locked, made["secret"]) == 200

    with locked.database.write() as connection:
        connection.execute(update(keys).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))

    assert status(locked, made["secret"]) == 401
    assert len(locked.get("/v1/keys")["data"]) == 1


def test_the_last_use_is_written_once_a_minute(locked: Service) -> None:
    made = make(locked)

    def used() -> str | None:
        found: str | None = locked.get("/v1/keys")["data"][0]["last_used_at"]
        return found

    assert used() is None
    status(locked, made["secret"])
    wait_until(lambda: used() is not None, what="the use to be noted")
    first = used()
    for _ in range(10):
        status(locked, made["secret"])
    assert used() == first


def test_the_stream_of_a_revoked_key_ends(locked: Service) -> None:
    made = make(locked)
    job = locked.submit()["id"]
    with locked.client.stream("GET", f"/v1/jobs/{job}/stream", headers=bearer(made["secret"])) as answer:
        lines = answer.iter_lines()
        assert next(lines)
        locked.client.delete(f"/v1/keys/{made['id']}")
        wait_until(lambda: status(locked, made["secret"]) == 401)

        with pytest.raises(httpx2.RemoteProtocolError):
            change_and_read(locked, job, lines)


def change_and_read(service: Service, job: str, lines: Iterator[str]) -> None:
    for number in range(1000):
        service.post(f"/v1/jobs/{job}/{('pause', 'resume')[number % 2]}")
        while next(lines):
            pass


def test_an_answer_that_waited_is_not_given_to_a_key_that_was_revoked_meanwhile(locked: Service) -> None:
    made, job = make(locked), locked.submit()["id"]
    answers: list[httpx2.Response] = []
    with holder(locked, made["secret"]) as caller:
        thread = threading.Thread(target=lambda: answers.append(caller.client.get(f"/v1/jobs/{job}", params={"wait": 4})))
        thread.start()
        wait_until(lambda: locked.get("/v1/keys")["data"][0]["last_used_at"] is not None, what="the request to arrive")
        locked.client.delete(f"/v1/keys/{made['id']}")
        thread.join(20)

    problem = assert_problem(answers[0], 401, "unauthorized")
    assert "meanwhile" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2100-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "/expires_at"),
        ({"project": "../x"}, "/project"),
        ({"project": "a\n"}, "/project"),
        ({"name": "x" * 201}, "/name"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_a_key_that_cannot_be_is_refused_at_its_place(locked: Service, body: dict[str, object], pointer: str) -> None:
    assert pointers(locked.client.post("/v1/keys", json=body)) == [pointer]


def test_the_list_is_paged(locked: Service) -> None:
    ids = [make(locked)["id"] for _ in range(3)]

    first = locked.get("/v1/keys", limit=2)
    rest = locked.get("/v1/keys", limit=2, after=first["next"])

    assert [key["id"] for key in (*first["data"], *rest["data"])] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_once_a_key_was_made_none_is_served_without_one_even_when_it_is_revoked(
    database_url: str, valkey_server: str, tmp_path: Path
) -> None:
    with running(settings_for(database_url, tmp_path / "data", redis_url=valkey_server)) as service:
        made = make(service, scopes=["read", "admin"])
        wait_until(lambda: service.client.get("/v1/jobs").status_code == 401, what="the service to want a key")
        assert status(service, made["secret"]) == 200

        assert service.client.delete(f"/v1/keys/{made['id']}", headers=bearer(made["secret"])).status_code == 204

        assert_problem(service.client.get("/v1/jobs"), 401, "unauthorized")
    with running(settings_for(database_url, tmp_path / "data", redis_url=valkey_server)) as service:
        assert_problem(service.client.get("/v1/jobs"), 401, "unauthorized")


def test_many_requests_at_once_each_get_their_own_key_s_answer(locked: Service) -> None:
    made = [make(locked, project=f"p{number}") for number in range(4)]
    for key in made:
        with holder(locked, key["secret"]) as caller:
            caller.post("/v1/datasets", {"columns": {"a": [1, 2]}, "name": key["project"]}, status=201)

    def names(number: int) -> list[str]:
        found = locked.client.get("/v1/datasets", headers=bearer(made[number % 4]["secret"])).json()
        return [dataset["name"] for dataset in found["data"]]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(names, range(64)))

    assert answers == [[f"p{number % 4}"] for number in range(64)]
    with locked.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(keys)).scalar_one() == 4


def test_of_many_requests_at_once_none_is_let_in_before_it_is_known_whether_there_is_a_key(
    database: Database,
) -> None:
    with database.write() as connection:
        row = {"id": "key_1", "project_id": DEFAULT_PROJECT, "sha256": "0", "scopes": ["read"], "created_at": now()}
        connection.execute(insert(keys).values(row))

    async def ask() -> list[bool]:
        keyring = Keyring(database)
        return await asyncio.gather(*(keyring.any_made() for _ in range(20)))

    assert asyncio.run(ask()) == [True] * 20


def test_while_the_database_does_not_answer_nobody_is_let_in(database: Database) -> None:
    async def ask() -> list[bool | BaseException]:
        keyring = Keyring(database)
        with database.write() as connection:
            connection.execute(text("ALTER TABLE keys RENAME TO away"))
        return await asyncio.gather(*(keyring.any_made() for _ in range(3)), return_exceptions=True)

    assert {type(answer) for answer in asyncio.run(ask())} == {Unavailable}


def test_an_answer_that_waits_outlives_a_moment_without_the_database(locked: Service) -> None:
    made, job = make(locked), locked.submit()["id"]
    answers: list[httpx2.Response] = []
    with holder(locked, made["secret"]) as caller:
        thread = threading.Thread(target=lambda: answers.append(caller.client.get(f"/v1/jobs/{job}", params={"wait": 3})))
        thread.start()
        wait_until(lambda: locked.get("/v1/keys")["data"][0]["last_used_at"] is not None, what="the request to arrive")
        with locked.database.write() as connection:
            connection.execute(text("ALTER TABLE keys RENAME TO away"))
        thread.join(20)

    assert (answers[0].status_code, answers[0].json()["id"]) == (200, job)
