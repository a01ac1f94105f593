"""What the containers would run, run without Docker: the install steps, and each service's command until it is healthy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.containers.files import ROOT, Service, last, services, stages
from tests.servers.cluster import Cluster, cluster
from tests.servers.postgres import create_database, drop_database
from tests.servers.processes import free_port
from trainyard import Client

SECRETS = {"POSTGRES_PASSWORD": "a password", "TRAINYARD_API_KEY": "a key"}


def variables(service: Service, replaced: Mapping[str, str]) -> dict[str, str]:
    """What the container's process sees: the image's variables, then those of the compose file, other hosts put in."""
    assert service.build is not None
    image = dict(
        pair.split("=", 1) for line in stages()[service.build.target] if line.word == "ENV" for pair in line.rest.split()
    )
    found = {**image, **service.environment}
    for old, new in replaced.items():
        found = {name: value.replace(old, new) for name, value in found.items()}
    return found


@pytest.fixture
def replaced(postgres_server: str, valkey_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What stands in a container's variables → what it is here; the database is an empty one."""
    database = create_database(postgres_server)
    port = free_port()
    yield {
        "postgresql+psycopg://trainyard@postgres:5432/trainyard": database,
        "redis://valkey:6379/0": valkey_url,
        "/data": str(tmp_path / "data"),
        "8000": str(port),
    }
    drop_database(postgres_server, database)


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "data").mkdir()
    with cluster({}, tmp_path) as started:
        yield started


def test_each_service_becomes_healthy_and_together_they_train(containers: Cluster, replaced: dict[str, str]) -> None:
    composed = services(SECRETS)
    environments = {name: variables(composed[name], replaced) for name in ("migrate", "api", "worker")}

    done = containers.run(composed["migrate"].command, **environments["migrate"])
    assert done.returncode == 0, done.stderr
    for name in ("api", "worker"):
        containers.start(name, composed[name].command, **environments[name])
    for name in ("api", "worker"):
        containers.wait_until_healthy(name, composed[name].healthcheck.test[1:], **environments[name])

    with Client(f"http://127.0.0.1:{environments['api']['TRAINYARD_PORT']}", key=SECRETS["TRAINYARD_API_KEY"]) as client:
        job = client.submit({"dataset": client.sample("iris")["id"], "target": "species", "epochs": 5})
        assert client.wait(job["id"], timeout=60)["status"] == "succeeded"


@pytest.mark.parametrize("part", ["api", "worker"])
def test_a_health_check_fails_where_nothing_runs(part: str, containers: Cluster, replaced: dict[str, str]) -> None:
    service = services(SECRETS)[part]
    containers.run(services(SECRETS)["migrate"].command, **variables(service, replaced))

    assert containers.run(service.healthcheck.test[1:], **variables(service, replaced)).returncode == 1


def test_the_api_image_installs_what_the_api_needs_and_no_torch(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if not (os.environ.get("CI") or request.config.getoption("--containers")):
        pytest.skip("installs 0.2 GB: only on CI or with --containers")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    workdir = tmp_path / "image"
    workdir.mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}", "PIP_NO_COMPILE": "1"}

    for line in stages()["api"]:
        if line.word == "COPY":
            copy_in(line.rest.split(), workdir)
        elif line.word == "RUN" and line.rest.startswith("pip install"):
            subprocess.run(f"{line.rest} -q", shell=True, cwd=workdir, env=environment, check=True, capture_output=True)
    shutil.rmtree(workdir)

    def python(code: str) -> int:
        return subprocess.run(
            ["python", "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=False
        ).returncode

    assert python("import app.main; app.main.create_app().openapi()") == 0
    assert python("from app.tabular.samples import sample_path; sample_path('iris').read_bytes()") == 0
    assert python("from app.api.reference import PAGE; PAGE.read_bytes()") == 0
    assert python("import torch") == 1
    assert last(stages()["api"], "CMD") == '["trainyard", "api"]'
    assert (
        subprocess.run(["trainyard", "--help"], cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0
    )


def copy_in(words: list[str], workdir: Path) -> None:
    """COPY as far as we use it: files into a folder, or a folder under its name."""
    *sources, target = words
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, workdir / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (workdir / target).mkdir(exist_ok=True)
            shutil.copy(ROOT / source, workdir / target)
