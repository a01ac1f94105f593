"""What the Dockerfile and the compose file must and must not say."""

import re
from pathlib import Path

import pytest

from tests.containers.files import ROOT, last, services, stages

SECRETS = {"POSTGRES_PASSWORD": "one", "TRAINYARD_API_KEY": "two"}
TARGETS = ("api", "worker", "worker-gpu")


@pytest.mark.parametrize("target", TARGETS)
def test_no_image_runs_as_root_and_each_has_a_health_check(target: str) -> None:
    lines = stages()[target]

    assert last(lines, "USER") == "trainyard"
    assert "--check" in last(lines, "HEALTHCHECK")


def test_only_the_workers_have_torch() -> None:
    with_torch = {
        name for name, lines in stages().items() if any("scripts/torch" in line.rest for line in lines if line.word == "RUN")
    }

    assert with_torch == {"worker", "worker-gpu"}


def test_what_is_copied_is_there_and_not_ignored() -> None:
    shown = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for line in stages()["api"] if line.word == "COPY" for source in line.rest.split()[:-1]}

    assert copied == shown
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("missing", SECRETS)
def test_compose_has_no_default_secret(missing: str) -> None:
    services(SECRETS)

    with pytest.raises(KeyError, match=missing):
        services({name: value for name, value in SECRETS.items() if name != missing})


def test_no_secret_stands_in_the_files() -> None:
    for file in (Path("docker-compose.yml"), Path("Dockerfile")):
        values = re.findall(r"(?:PASSWORD|KEY)\w*[:=]\s*(\S+)", (ROOT / file).read_text())

        assert [value for value in values if value not in ("…",) and not value.startswith("${")] == []


def test_compose_publishes_on_loopback_only() -> None:
    published = [port for service in services(SECRETS).values() for port in service.ports]

    assert published == ["127.0.0.1:8000:8000"]


def test_every_service_is_watched_restarted_and_keeps_its_data_in_a_volume() -> None:
    for name, service in services(SECRETS).items():
        assert service.volumes, name
        assert (service.restart, bool(service.healthcheck.test)) == (
            ("on-failure", False) if name == "migrate" else ("unless-stopped", True)
        )


def test_valkey_persists() -> None:
    assert services(SECRETS)["valkey"].command[1:3] == ["--appendonly", "yes"]


def test_the_gpu_worker_is_a_profile_of_its_own() -> None:
    assert {name for name, service in services(SECRETS).items() if service.profiles == ["gpu"]} == {"worker-gpu"}


def test_every_target_that_compose_builds_exists() -> None:
    built = {service.build.target for service in services(SECRETS).values() if service.build}

    assert built == set(TARGETS)
