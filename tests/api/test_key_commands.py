"""`trainyard keys` as an operator types it, against both databases."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.caller import Caller
from app.persistence.database import Database
from app.services.keys import Keys, Wish
from tests.api.keys import bearer
from tests.api.service import running, settings_for

# Of a network that exists in documentation only: nobody can listen there.
ELSEWHERE = "192.0.2.1"


def typed(database_url: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRAINYARD_DATABASE_URL": database_url, **environment}
    command = [sys.executable, "-m", "trainyard", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_key_is_made_used_listed_and_revoked(database_url: str, valkey_server: str, tmp_path: Path) -> None:
    words = ("--name", "first", "--project", "a", "--scope", "read", "--scope", "admin", "--days", "1")
    made = typed(database_url, "keys", "create", *words)
    secret = made.stdout.strip()
    with running(settings_for(database_url, tmp_path / "data", redis_url=valkey_server)) as service:
        without, with_it = (service.client.get("/v1/keys", headers=headers) for headers in ({}, bearer(secret)))
        [key] = with_it.json()["data"]
        listed = typed(database_url, "keys", "list").stdout
        revoked = typed(database_url, "keys", "revoke", key["id"])
        afterwards = service.client.get("/v1/keys", headers=bearer(secret))

    assert (without.status_code, with_it.status_code, afterwards.status_code) == (401, 200, 401)
    assert (key["name"], key["project"], key["scopes"]) == ("first", "a", ["read", "admin"])
    assert listed.startswith(f"{key['id']}\ta\tread,admin\tuntil ")
    assert secret not in listed + made.stderr
    assert revoked.returncode == 0
    assert typed(database_url, "keys", "list").stdout == ""


def test_a_name_forges_no_line_of_the_list(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    Keys(database).create(Caller(), Wish(name="mine\nkey_0\tb\x1b[2J\u2028é", scopes=["read"]))
    database.close()

    listed = typed(sqlite_url, "keys", "list").stdout

    assert len(listed.splitlines()) == 1
    assert listed.endswith("\tmine\\nkey_0\\tb\\x1b[2J\\u2028é\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("revoke", "key_x"), "There is no key 'key_x'.\n"),
        (("create", "--scope", "root"), "There is no scope 'root': it is one of read, write, admin.\n"),
        (("create", "--project", "a/b"), "/project: A project's name is of letters, digits, `.`, `_` and `-`.\n"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(sqlite_url: str, words: tuple[str, ...], sentence: str) -> None:
    done = typed(sqlite_url, "keys", *words)

    assert (done.returncode, done.stderr) == (1, sentence)


def test_without_a_database_it_says_what_to_run(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/none/none.db", f"sqlite:///{tmp_path}/empty.db"):
        done = typed(url, "keys", "list")

        assert done.returncode == 1
        assert "run `trainyard migrate`" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["up", "api"])
def test_a_stored_key_lets_the_service_listen_elsewhere(sqlite_url: str, tmp_path: Path, command: str) -> None:
    words, data = (command, "--host", ELSEWHERE, "--port", "0"), str(tmp_path / "data")

    before = typed(sqlite_url, *words, TRAINYARD_DATA=data)
    typed(sqlite_url, "keys", "create")
    after = typed(sqlite_url, *words, TRAINYARD_DATA=data)

    assert (before.returncode, "`trainyard keys create`" in before.stderr) == (1, True)
    assert "key" not in after.stderr
    told = after.stdout + after.stderr
    assert "Cannot listen on" in told or "address" in told, told
