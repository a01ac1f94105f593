"""Keys and passwords stand in no log, answer, command line or representation, whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.settings import Settings
from app.upkeep.valkey import find_server
from tests.servers.bucket import BUCKET, s3
from tests.servers.cluster import Cluster, cluster
from tests.servers.missing import missing
from tests.servers.plain import NOBODY
from tests.servers.postgres import create_database, drop_database
from tests.servers.processes import command_line, end, free_port
from tests.servers.service import PERIODS
from tests.servers.valkey import valkey
from trainyard import Client

KEY, DATABASE, BROKER, STORAGE = "secret-of-the-api", "secret-of-the-database", "secret-of-the-broker", "secret-of-the-bucket"
SECRETS = (KEY, DATABASE, BROKER, STORAGE)


@pytest.fixture
def parts(postgres_server: str, postgres_template: str, tmp_path: Path) -> Iterator[tuple[Cluster, str]]:
    """An API and a worker that have a secret for each of their servers, and log everything; the URL of their database."""
    binary = find_server()
    if binary is None:
        missing("Valkey")
    url = create_database(postgres_server, template=postgres_template)
    with valkey(binary) as broker, s3(tmp_path) as bucket:
        with redis.Redis.from_url(broker) as client:
            client.config_set("requirepass", BROKER)
        environment = {
            **PERIODS,
            **bucket,
            "AWS_SECRET_ACCESS_KEY": STORAGE,
            "TRAINYARD_DATA": str(tmp_path / "data"),
            "TRAINYARD_DATABASE_URL": make_url(url).set(password=DATABASE).render_as_string(hide_password=False),
            "TRAINYARD_REDIS_URL": broker.replace("redis://", f"redis://:{BROKER}@"),
            "TRAINYARD_STORAGE_URL": f"s3://{BUCKET}/here",
            "TRAINYARD_API_KEY": KEY,
            "TRAINYARD_PORT": str(free_port()),
            "TRAINYARD_SLOTS": "1",
            "TRAINYARD_LOG_LEVEL": "debug",
        }
        with cluster(environment, tmp_path) as started:
            started.start("api", ["trainyard", "api"])
            started.start("worker", ["trainyard", "worker"])
            started.wait_until_healthy("api", ["trainyard", "api", "--check"])
            yield started, url
    drop_database(postgres_server, url)


def test_no_secret_is_told_while_all_is_well_and_when_everything_is_away(
    parts: tuple[Cluster, str], postgres_server: str
) -> None:
    running, url = parts
    address = f"http://127.0.0.1:{running.environment['TRAINYARD_PORT']}"
    with Client(address, key=KEY) as client:
        dataset = client.sample("iris")["id"]
        job = client.submit({"dataset": dataset, "target": "species", "epochs": 5})["id"]
        assert client.wait(job, timeout=120)["status"] == "succeeded"
        told = [command_line(process.pid) for process in running.parts.values()]
        told += answers(address)
        drop_database(postgres_server, url)
        told += answers(address)
    for process in running.parts.values():
        end(process)
    told += [running.log(name).read_text() for name in running.parts]
    told += [running.run(["trainyard", part]).stderr for part in ("api", "worker", "migrate")]

    assert "request" in told[-5]
    assert [secret for secret in SECRETS if any(secret in text for text in told)] == []


def answers(address: str) -> list[str]:
    """What the API says to callers with the key and without."""
    paths = ("/readyz", "/v1/system", "/v1/jobs", "/v1/datasets", "/v1/nothing", "/openapi.json", "/docs")
    found = []
    with httpx2.Client(base_url=address, timeout=60, verify=NOBODY) as client:
        for path in paths:
            for key in (KEY, f"{KEY}x"[::-1]):
                answer = client.get(path, headers={"Authorization": f"Bearer {key}"})
                found.append(f"{answer.text} {answer.headers}")
    return found


def test_settings_show_no_secret() -> None:
    settings = Settings(
        api_key=SecretStr(KEY),
        database_url=f"postgresql+psycopg://me:{DATABASE}@host/name",
        redis_url=f"redis://:{BROKER}@host:6379/0",
    )

    assert [secret for secret in SECRETS if secret in f"{settings!r} {settings}"] == []


def test_a_setting_that_cannot_be_is_refused_without_the_others() -> None:
    with pytest.raises(ValueError, match="port") as refused:
        Settings.model_validate({"port": "x", "api_key": KEY, "database_url": DATABASE})

    assert [secret for secret in SECRETS if secret in str(refused.value)] == []
