"""The registry from Python: `client.models`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote

from trainyard.connection import Connection
from trainyard.model_answers import Alias, AliasMove, Model, ModelPrediction, ModelVersion
from trainyard.predicting import Output, Predicting
from trainyard.sending import Given

MODELS = "/v1/models"


class Models:
    """Registered names; `version` is a number or an alias wherever one is asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, *, description: str | None = None, metadata: Mapping[str, str] | None = None) -> Model:
        """Register a name."""
        body = {"name": name, "description": description, "metadata": dict(metadata or {})}
        return cast(Model, self._connection.post(MODELS, json=body).json())

    def list(self, *, limit: int | None = None) -> Iterator[Model]:
        """Models, the newest first."""
        return (cast(Model, found) for found in self._connection.listed(MODELS, {}, limit=limit))

    def get(self, name: str) -> Model:
        """One model, and where its aliases point."""
        return cast(Model, self._connection.get(_path(name)).json())

    def delete(self, name: str) -> None:
        """Delete a model that has no alias any more, with its versions."""
        self._connection.delete(_path(name))

    def register(
        self, name: str, checkpoint: str, *, description: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Register a checkpoint as the next version; the first one becomes the alias `default`."""
        body = {"checkpoint": checkpoint, "description": description, "metadata": dict(metadata or {})}
        return cast(ModelVersion, self._connection.post(_path(name, "versions"), json=body).json())

    def versions(self, name: str, *, limit: int | None = None) -> Iterator[ModelVersion]:
        """The versions of a model, the newest first."""
        found = self._connection.listed(_path(name, "versions"), {}, limit=limit)
        return (cast(ModelVersion, one) for one in found)

    def version(self, name: str, version: int | str) -> ModelVersion:
        """One version."""
        return cast(ModelVersion, self._connection.get(_path(name, "versions", version)).json())

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version at which no alias points; its checkpoint is no longer protected."""
        self._connection.delete(_path(name, "versions", version))

    def move(self, name: str, alias: str, version: int) -> Alias:
        """Let an alias, a new one too, point at a version; every prediction that begins afterwards uses it."""
        return cast(Alias, self._connection.put(_path(name, "aliases", alias), json={"version": version}).json())

    def delete_alias(self, name: str, alias: str) -> None:
        """Delete an alias."""
        self._connection.delete(_path(name, "aliases", alias))

    def history(self, name: str, alias: str, *, limit: int | None = None) -> Iterator[AliasMove]:
        """Who moved an alias from where to where, the newest first."""
        found = self._connection.listed(_path(name, "aliases", alias, "history"), {}, limit=limit)
        return (cast(AliasMove, one) for one in found)

    def predict(
        self, name: str, rows: Given, *, version: int | str | None = None, outputs: Sequence[Output] | None = None
    ) -> ModelPrediction:
        """Predict with the version at which `default` points, or with another; otherwise as `Client.predict`."""
        return cast(ModelPrediction, self._predicting(name, version).answer(rows, outputs).json())

    def predict_to(
        self,
        file: Path | str,
        name: str,
        rows: Given,
        *,
        version: int | str | None = None,
        outputs: Sequence[Output] | None = None,
    ) -> Path:
        """As `Client.predict_to`."""
        return self._predicting(name, version).to_file(rows, file, outputs)

    def _predicting(self, name: str, version: int | str | None) -> Predicting:
        path = _path(name, "predict") if version is None else _path(name, "versions", version, "predict")
        return Predicting(self._connection, path, {})


def _path(*steps: str | int) -> str:
    return "/".join([MODELS, *(quote(str(step), safe="") for step in steps)])
