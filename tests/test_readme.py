"""The sessions of the README and the documentation, as they stand."""

import os
import re
import subprocess
from pathlib import Path

from tests.servers.service import Service

ROOT = Path(__file__).parents[1]


def run(file: str, heading: str, service: Service, folder: Path) -> str:
    """What the first session below a heading prints."""
    text = (ROOT / file).read_text()
    session = re.findall(rf"^{heading}$.*?^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0]
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", session],
        env={**os.environ, "URL": service.url},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_five_calls_of_the_readme_work_as_they_stand(service: Service, tmp_path: Path) -> None:
    printed = run("README.md", "## Five calls", service, tmp_path)

    assert "Epoch [2000/2000], Loss: " in printed
    assert '"epoch":[1,2,3]' in printed
    assert '"predictions":["setosa"]' in printed


def test_the_sweep_of_the_documentation_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    printed = run("docs/sweeps.md", "# Sweeps", service, tmp_path)

    assert printed.count('"object":"sweep"') == 2
    assert printed.count('"parameters":{"optimizer.learning_rate":') >= 3


def test_the_clone_of_the_documentation_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    printed = run("docs/jobs.md", "## Clones", service, tmp_path)

    assert '"metadata":{"team":"b"}' in printed


def test_the_ensemble_of_the_documentation_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    printed = run("docs/ensembles.md", "# Ensembles", service, tmp_path)

    assert '"status":"succeeded"' in printed
    assert '"ensemble":{"members":5,"folds":true}' in printed


def test_the_predictions_of_the_documentation_work_as_they_stand(service: Service, tmp_path: Path) -> None:
    printed = run("docs/predictions.md", "# Predictions", service, tmp_path)

    assert '"predictions":["setosa"],"probabilities":[[' in printed
    assert '"probabilities":null,"classes":["setosa",' in printed
    assert '"code":"outside_training_range"' in printed
    assert "prediction,probability_setosa,probability_versicolor,probability_virginica\nsetosa," in printed
    assert '"outputs":[{"name":"label","datatype":"BYTES","shape":[1],"data":["setosa"]}' in printed


def test_the_recipe_of_the_documentation_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    printed = run("docs/recipes.md", "# Recipes", service, tmp_path)

    assert '"status":"succeeded"' in printed
    assert '"recipe":"strong","optimize":"error"' in printed


def test_the_model_of_the_documentation_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    printed = run("docs/models.md", "# Models", service, tmp_path)

    assert '"model":"flowers","version":2,' in printed
    assert '"from":1,"to":2,' in printed


def test_the_batch_prediction_of_the_documentation_works_as_it_stands(service: Service, tmp_path: Path) -> None:
    printed = run("docs/batch-predictions.md", "# Batch predictions", service, tmp_path)

    assert '"status":"succeeded"' in printed
    assert "prediction,probability_setosa,probability_versicolor,probability_virginica\nsetosa," in printed
