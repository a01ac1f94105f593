"""The application, and the layers of ours that stand before the framework's own."""

from collections.abc import Callable

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from app.api.document import Documented

Layer = Callable[[ASGIApp], ASGIApp]


class Application(Documented):
    """FastAPI, without its layer for what nobody expected: the edge answers that, and comes before all others."""

    _layers: tuple[Layer, ...] = ()

    def surround(self, layer: Layer) -> None:
        """Put a layer around all that is there."""
        self._layers = (*self._layers, layer)

    def build_middleware_stack(self) -> ASGIApp:
        """The framework's, and ours around it; `add_middleware` puts one inside the framework's."""
        stack = super().build_middleware_stack()
        assert isinstance(stack, ServerErrorMiddleware)
        if stack.handler is not None:
            raise TypeError("Nothing asks a handler for Exception or 500: what nobody expected is answered by the edge.")
        app = stack.app
        for layer in self._layers:
            app = layer(app)
        return app
