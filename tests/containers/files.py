"""Dockerfile and compose file, read as far as ours use them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Line:
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def stages() -> dict[str, list[Line]]:
    """Each stage with all its instructions, those of the stages it stands on first."""
    found: dict[str, list[Line]] = {}
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    name = ""
    for line in (line for line in text.splitlines() if line.strip() and not line.startswith("#")):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = [Line("FROM", base), *found.get(base, [])]
        else:
            found[name].append(Line(word, rest.strip()))
    return found


def last(lines: list[Line], word: str) -> str:
    """The instruction that counts."""
    return [line.rest for line in lines if line.word == word][-1]


class Healthcheck(BaseModel):
    """How a container is asked."""

    test: list[str] = []
    disable: bool = False


class Build(BaseModel):
    """Which image."""

    context: str
    target: str


class Service(BaseModel):
    """A service of the compose file."""

    model_config = ConfigDict(extra="forbid")

    image: str | None = None
    build: Build | None = None
    command: list[str] = []
    environment: dict[str, str] = {}
    volumes: list[str] = []
    ports: list[str] = []
    restart: Literal["unless-stopped", "on-failure"]
    healthcheck: Healthcheck
    depends_on: dict[str, dict[str, str]] = {}
    profiles: list[str] = []
    init: bool = False
    stop_grace_period: str = "10s"
    deploy: dict[str, object] = Field(default_factory=dict)


def services(variables: dict[str, str]) -> dict[str, Service]:
    """The services of the compose file with these variables filled in; KeyError for a required one that is not there."""
    text = re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda match: _value(match, variables), (ROOT / "docker-compose.yml").read_text()
    )
    return {name: Service.model_validate(service) for name, service in yaml.safe_load(text)["services"].items()}


def _value(match: re.Match[str], variables: dict[str, str]) -> str:
    name, kind, word = match.groups()
    if variables.get(name):
        return variables[name]
    if kind == "-":
        return str(word)
    raise KeyError(name)
