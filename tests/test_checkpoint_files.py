"""A checkpoint's files without the service: the programs of the documentation, as they stand, answer what it answers."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from trainyard import Client

PAGE = (Path(__file__).parents[1] / "docs/predictions.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.partition("## Without the service")[2], re.DOTALL)
CITIES = ("Ulm", "Bonn", "Köln", "")
ROWS = [(f"{i * 1.25 - 9}" if i % 7 else "", CITIES[i % 4]) for i in range(60)]
TELL = "\nimport json; print(json.dumps([[str(one) for one in label], probabilities.tolist()]))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def expected(client: Client, folder: Path) -> Any:
    """The service's answer for the rows in a file, beside the files of the checkpoint that gave it."""
    table = "size,city,mood\n" + "".join(f"{size},{city},{'abc'[i % 3]}\n" for i, (size, city) in enumerate(ROWS))
    spec = {"preprocessing": {"missing": "indicator"}, "network": {"hidden_layers": [6, 5]}, "epochs": 4, "seed": 3}
    job = client.wait(
        client.submit({"dataset": client.upload(table.encode())["id"], "target": "mood", **spec})["id"], timeout=60
    )
    best = next(checkpoint["id"] for checkpoint in client.checkpoints(job["id"]) if "best" in checkpoint["kinds"])
    for name in ("weights.safetensors", "model.json", "model.onnx"):
        client.download(best, name, folder / name)
    (folder / "rows.csv").write_text("size,city\n" + "".join(f"{size},{city}\n" for size, city in [*ROWS[:9], ("2.5", "Oslo")]))
    answer = client.predict(job["id"], folder / "rows.csv")
    return [answer["predictions"], answer["probabilities"]]


def run(program: str, folder: Path) -> Any:
    done = subprocess.run([sys.executable, "-c", program + TELL], cwd=folder, capture_output=True, text=True, check=True)
    return orjson.loads(done.stdout)


def test_the_file_alone_and_the_network_rebuilt_answer_what_the_service_answers(expected: Any, folder: Path) -> None:
    alone, rebuilt = (run(program, folder) for program in PROGRAMS)

    assert alone == expected
    assert rebuilt[0] == expected[0]
    for row, (ours, theirs) in enumerate(zip(expected[1], cast(list[Any], rebuilt[1]), strict=True)):
        assert theirs == pytest.approx(ours, abs=1e-6), row


def test_the_network_is_rebuilt_in_twenty_lines() -> None:
    lines = [line for line in PROGRAMS[1].splitlines() if line.strip()]

    assert len(lines) <= 20
