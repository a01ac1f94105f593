"""A client that openapi-python-client makes of the document: without a warning, and it does a whole job."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from app.api.media import FORMATS
from tests.contract.document import document
from tests.servers.service import Service

PACKAGE = "generated_trainyard"
# The generator knows bytes by one media type alone; so these are told to be that, as docs/api.md has it.
BYTES = "application/octet-stream"


def generated(folder: Path, **overrides: str) -> list[str]:
    """What the generator complains of; the package is in the folder."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document()))
    config = Config.from_sources(
        ConfigFile(content_type_overrides=overrides, post_hooks=[]), MetaType.NONE, path, "utf-8", True, folder / PACKAGE
    )
    return [f"{error.header} {error.detail}" for error in generate(config=config)]


@pytest.fixture(scope="module")
def client_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Imports a module of the generated package."""
    folder = tmp_path_factory.mktemp("generated")
    assert generated(folder, **dict.fromkeys(FORMATS, BYTES)) == []
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    sys.path.remove(str(folder))


def test_without_being_told_what_is_bytes_the_generator_leaves_out_these_alone(tmp_path: Path) -> None:
    complaints = generated(tmp_path)

    assert sum("POST /v1/datasets " in one for one in complaints) == len(FORMATS)
    assert {one.partition(" within")[0].partition(" parsing ")[2] for one in complaints if "/predict " in one} == {
        f"POST /v1/{path}/predict"
        for path in ("jobs/{job_id}", "checkpoints/{checkpoint_id}", "models/{name}", "models/{name}/versions/{version}")
    }
    assert all("Unsupported content type" in one or "Unsupported content_type" in one for one in complaints)


def test_every_operation_has_a_module_that_imports(client_of: Callable[[str], Any]) -> None:
    for methods in document()["paths"].values():
        for operation in methods.values():
            module = client_of(f"api.{operation['tags'][0].lower()}.{operation['operationId']}")
            assert module.sync_detailed


def test_the_generated_client_does_a_whole_job(client_of: Callable[[str], Any], service: Service) -> None:
    models = client_of("models")

    def call(name: str, *arguments: object, **parameters: object) -> Any:
        with client_of("client").Client(base_url=service.url, timeout=60) as client:
            return client_of(f"api.{name}").sync(*arguments, client=client, **parameters)

    sample = call("datasets.create_dataset", body=models.DatasetOfSample(sample=models.DatasetOfSampleSample.IRIS))
    network = models.Network(hidden_layers=[8])
    spec = models.JobSpec(dataset=sample.id, target="species", epochs=20, network=network, optimizer=models.Sgd(name="sgd"))
    job = call("jobs.create_job", body=spec)
    over = call("jobs.get_job", job.id, wait=60)
    history = call("history.get_history", job.id)
    rows = models.PredictRows(rows=[[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    prediction = call("predictions.predict", job.id, body=rows)

    assert (over.status, over.terminal, over.stop_reason) == ("succeeded", True, "max_epochs")
    assert history.epoch == [*range(1, 21)]
    assert prediction.classes == ["setosa", "versicolor", "virginica"]
    assert len(prediction.predictions) == 2
    assert over.spec.optimizer.name == "sgd"
    assert over.resolved_spec.layers == [4, 8, 3]


def test_the_generated_client_sends_files_and_reads_problems(client_of: Callable[[str], Any], service: Service) -> None:
    models, types = client_of("models"), client_of("types")
    create, get = (client_of(f"api.{name}").sync for name in ("datasets.create_dataset", "jobs.get_job"))

    def file() -> Any:
        return types.File(payload=BytesIO(b"size,ripe\n1.5,true\n2.5,false\n"), file_name="a.csv")

    with client_of("client").Client(base_url=service.url) as client:
        raw = create(client=client, body=file(), name="raw")
        form = create(client=client, body=models.CreateDatasetFilesBody(file=file(), name="a form"))
        missing = get("job_x", client=client)

    assert ([dataset.rows for dataset in (raw, form)], raw.name, form.name) == ([2, 2], "raw", "a form")
    assert (missing.code, missing.status, missing.type_) == ("not_found", 404, "/docs#not_found")
