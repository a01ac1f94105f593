"""Every operation that the application has, as its own routers list them: a new one is tested without a word here."""

import re
from dataclasses import dataclass
from pathlib import Path

from fastapi.routing import APIRoute
from starlette.routing import Route

from app.api.access import DOCUMENTATION, PROBES
from app.main import ROUTERS, create_app
from tests.api.service import settings_for

PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Operation:
    """A method of a path, with the names of the parameters in the path."""

    method: str
    path: str
    has_body: bool

    def __str__(self) -> str:
        """The test's id."""
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """What stands in braces."""
        return PARAMETER.findall(self.path)

    def at(self, value: str, *, only: str | None = None, otherwise: str = "x") -> str:
        """The path with a value in one parameter and another text in the rest, or with the value in all of them."""
        return PARAMETER.sub(lambda found: value if only in (None, found[1]) else otherwise, self.path)


def _operations() -> list[Operation]:
    settings = settings_for("sqlite:///none.db", Path("none"))
    framework = [route for route in create_app(settings).routes if isinstance(route, Route)]
    ours = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    return sorted(
        (
            Operation(method, route.path, isinstance(route, APIRoute) and _takes_a_body(route))
            for route in (*framework, *ours)
            for method in route.methods or ()
        ),
        key=str,
    )


def _takes_a_body(route: APIRoute) -> bool:
    """Read by a model, or as it is."""
    return route.body_field is not None or "requestBody" in (route.openapi_extra or {})


OPERATIONS = _operations()
GUARDED = [operation for operation in OPERATIONS if operation.path not in PROBES | DOCUMENTATION]
WITH_PARAMETERS = [operation for operation in GUARDED if operation.parameters]
WITH_BODY = [operation for operation in GUARDED if operation.has_body]
