"""What becomes of tests whose server is not there."""

import os
from typing import NoReturn

import pytest


def missing(server: str) -> NoReturn:
    """A server that is not there: no test of it on a person's machine, a failure on CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{server} is needed on CI")
    pytest.skip(f"{server} is not installed")
