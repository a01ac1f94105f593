"""What the documentation must not forget."""

from pathlib import Path

import pytest

from app.api import http_errors
from app.domain import errors
from app.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `TRAINYARD_{name.upper()}` |" in (ROOT / "docs/settings.md").read_text()


def _codes() -> set[str]:
    found, left = {http_errors.HttpError.code}, [errors.TrainyardError]
    while left:
        error = left.pop()
        found.add(error.code)
        left.extend(error.__subclasses__())
    return found


@pytest.mark.parametrize("code", sorted(_codes()))
def test_every_error_code_is_documented(code: str) -> None:
    assert f"| `{code}` |" in (ROOT / "docs/errors.md").read_text()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
