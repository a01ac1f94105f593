"""An operator's mistakes: each is told in one line that names what to change, by every command alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.servers.commands import Shell, shell

SECRET = "a-password"
AT_THE_DATABASE = (("migrate",), ("api",), ("worker",), ("worker", "--check"), ("keys", "list"))
UNUSABLE = (
    *("garbage", f"mysql://me:{SECRET}@127.0.0.1/data", f"postgresql+psycopg2://me:{SECRET}@127.0.0.1/data"),
    *(f"postgresql+psycopg://me:{SECRET}@127.0.0.1:port/data", f"postgresql+psycopg://me:is@{SECRET}@127.0.0.1/data"),
    *(f"postgresql+psycopg://me:is@{SECRET}{mark}x@127.0.0.1/data" for mark in "/?"),
)


@pytest.fixture(scope="module")
def operator() -> Iterator[Shell]:
    with shell() as opened:
        yield opened


def told(operator: Shell, *commands: tuple[str, ...], **environment: str) -> list[str]:
    """The one line that each command says; it ends with 1."""
    done = operator.run(*commands, **environment)
    lines = [one.stderr.removesuffix("\n") for one in done]
    assert [(one.status, one.stdout) for one in done] == [(1, "")] * len(commands), lines
    assert not [line for line in lines if "\n" in line or SECRET in line]
    return lines


def test_a_value_that_a_setting_cannot_have_is_told_with_its_name(operator: Shell, tmp_path: Path) -> None:
    commands = (
        ("TRAINYARD_PORT=abc", "migrate"),
        ("TRAINYARD_SLOTS=-1", "worker", "--check"),
        ("TRAINYARD_LOG_LEVEL=loud", "api"),
        ("TRAINYARD_RATE_LIMIT=many", "TRAINYARD_LEASE_SECONDS=0", "up"),
        ("TRAINYARD_METRICS_OPEN=perhaps", "keys", "list"),
    )

    assert told(operator, *commands, TRAINYARD_DATA=str(tmp_path)) == [
        "TRAINYARD_PORT: A whole number is expected.",
        "TRAINYARD_SLOTS: It must be at least 0.",
        "TRAINYARD_LOG_LEVEL: It must be 'debug', 'info', 'warning' or 'error'.",
        "TRAINYARD_LEASE_SECONDS: It must be greater than 0. TRAINYARD_RATE_LIMIT: A whole number is expected.",
        "TRAINYARD_METRICS_OPEN: true or false is expected.",
    ]


def test_a_level_of_the_log_may_be_written_in_capitals(operator: Shell, sqlite_url: str) -> None:
    [done] = operator.run(("TRAINYARD_LOG_LEVEL=WARNING", "keys", "list"), TRAINYARD_DATABASE_URL=sqlite_url)

    assert (done.status, done.stderr) == (0, "")


def test_a_url_of_no_database_that_is_spoken_to_is_told_without_its_password(operator: Shell, tmp_path: Path) -> None:
    commands = [(f"TRAINYARD_DATABASE_URL={url}", *words) for url in UNUSABLE for words in (("migrate",), ("keys", "list"))]
    everywhere = [("TRAINYARD_DATABASE_URL=garbage", *words) for words in (*AT_THE_DATABASE, ("up", "--port", "0"))]

    lines = told(operator, *commands, *everywhere, TRAINYARD_DATA=str(tmp_path))

    assert {line.partition(":")[0] for line in lines} == {"TRAINYARD_DATABASE_URL"}


def test_what_the_database_says_is_told(operator: Shell, postgres_server: str) -> None:
    known = make_url(postgres_server).set(password=SECRET)
    for url, said in ((known.set(database="none"), 'database "none"'), (known.set(username="none"), 'role "none"')):
        for line in told(operator, *AT_THE_DATABASE, TRAINYARD_DATABASE_URL=url.render_as_string(hide_password=False)):
            assert line.startswith("The database cannot be used: ")
            assert line.endswith(f"{said} does not exist. TRAINYARD_DATABASE_URL says where it is.")


def test_a_database_that_is_not_there_is_told(operator: Shell, tmp_path: Path) -> None:
    refused = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/data"
    commands = [(f"TRAINYARD_DATABASE_URL={refused}", *words) for words in (*AT_THE_DATABASE, ("up", "--port", "0"))]
    commands.append((f"TRAINYARD_DATABASE_URL=sqlite:///{tmp_path}/none/none.db", "migrate"))

    lines = told(operator, *commands, TRAINYARD_DATA=str(tmp_path))

    assert all(line.startswith("The database cannot be used: ") for line in lines)
    assert all("Connection refused" in line for line in lines[:-1])
    assert "unable to open database file" in lines[-1]


def test_a_schema_that_is_not_there_is_told_and_no_file_is_made(operator: Shell, tmp_path: Path) -> None:
    file = tmp_path / "none.db"

    lines = told(operator, ("api",), ("worker",), ("keys", "list"), TRAINYARD_DATABASE_URL=f"sqlite:///{file}")

    assert all(line.endswith("run `trainyard migrate`.") for line in lines)
    assert not file.exists()


def test_a_data_folder_that_cannot_be_used_is_told(operator: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "data" / "lock").mkdir(parents=True)
    below, locked = tmp_path / "file" / "data", tmp_path / "data"

    lines = told(operator, ("up", "--data", str(below)), ("up", "--data", str(locked)), (f"TRAINYARD_DATA={below}", "migrate"))

    assert lines == [
        f"The data folder {folder} cannot be used ({reason}): set TRAINYARD_DATA to another folder."
        for folder, reason in ((below, "Not a directory"), (locked, "Is a directory"), (below, "Not a directory"))
    ]


def test_a_storage_that_cannot_be_used_is_told(operator: Shell, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files = tmp_path / "file" / "files"
    environment = {"TRAINYARD_DATABASE_URL": sqlite_url, "TRAINYARD_DATA": str(tmp_path / "data"), "TRAINYARD_PORT": "0"}

    lines = told(operator, ("api",), ("worker",), ("up",), TRAINYARD_STORAGE_URL=str(files), **environment)

    said = f"The storage {files} cannot be used (Not a directory): set TRAINYARD_STORAGE_URL to another folder."
    assert lines == [said] * 3


def test_a_database_elsewhere_is_migrated_without_a_data_folder(operator: Shell, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    [done] = operator.run(("migrate",), TRAINYARD_DATABASE_URL=database_url, TRAINYARD_DATA=str(tmp_path / "file" / "data"))

    assert (done.status, done.stderr) == (0, "")


def test_the_data_folder_is_made_for_the_database_in_it(operator: Shell, tmp_path: Path) -> None:
    [done] = operator.run(("migrate",), TRAINYARD_DATA=str(tmp_path / "new" / "data"))

    assert (done.status, done.stderr) == (0, "")
    assert (tmp_path / "new" / "data" / "trainyard.db").exists()


def test_a_storage_of_a_kind_that_is_not_there_is_told_and_no_folder_is_made(
    operator: Shell, sqlite_url: str, tmp_path: Path
) -> None:
    here = {"TRAINYARD_DATABASE_URL": sqlite_url, "TRAINYARD_DATA": str(tmp_path / "data"), "TRAINYARD_PORT": "0"}
    commands = [
        (f"TRAINYARD_STORAGE_URL={kind}://bucket/{tmp_path}", *words)
        for kind, words in (("ftp", ("api",)), ("gs", ("worker",)), ("S3", ("up",)), ("file://ftp", ("api",)))
    ]

    lines = told(operator, *commands, **here)

    assert set(lines) == {"TRAINYARD_STORAGE_URL: It must be a folder, `file:///folder` or `s3://bucket/prefix`."}


def test_an_empty_key_is_none_and_only_loopback_is_listened_on(operator: Shell, sqlite_url: str, tmp_path: Path) -> None:
    environment = {"TRAINYARD_DATABASE_URL": sqlite_url, "TRAINYARD_DATA": str(tmp_path / "data"), "TRAINYARD_API_KEY": ""}

    # Of a network that exists in documentation only: nobody can listen there.
    lines = told(operator, *((command, "--host", "192.0.2.1", "--port", "0") for command in ("up", "api")), **environment)

    assert [line.partition(":")[0] for line in lines] == [
        "Without a key the service listens on loopback only, not on 192.0.2.1"
    ] * 2
