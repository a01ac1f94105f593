"""What the server is told to serve: `app.start:create_app` loads the API and makes it."""

from typing import TYPE_CHECKING

from app.loading import collector_at_rest

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> "FastAPI":
    """The application with the settings of the environment."""
    with collector_at_rest():
        from app.main import create_app as make
    return make()
