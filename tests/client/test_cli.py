"""The client's commands as somebody types them."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.service import Service
from trainyard.client import Client


def trainyard(service: Service, *words: str, columns: int = 200, sent: str = "") -> subprocess.CompletedProcess[str]:
    return typed(service.url, *words, columns=columns, sent=sent)


def typed(url: str, *words: str, columns: int = 200, sent: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRAINYARD_URL": url, "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "trainyard", *words]
    return subprocess.run(command, input=sent, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_session_of_commands(service: Service, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,y\n" + "".join(f"{x},{'ab'[x % 2]}\n" for x in range(40)))
    dataset = trainyard(service, "datasets", "upload", str(tmp_path / "data.csv")).stdout.strip()
    (tmp_path / "spec.json").write_text(json.dumps({"dataset": dataset, "target": "y", "epochs": 3, "name": "typed"}))
    job = trainyard(service, "jobs", "submit", str(tmp_path / "spec.json")).stdout.strip()
    followed = trainyard(service, "jobs", "follow", job)
    (tmp_path / "rows.json").write_text('[{"x": 1}, {"x": 2}]')
    predicted = trainyard(service, "predict", job, str(tmp_path / "rows.json"))
    piped = trainyard(service, "predict", job, "-", sent='[{"x": 1}, {"x": 2}]')
    (tmp_path / "rows.csv").write_text("x\n1\n2\n")
    trainyard(service, "predict", job, str(tmp_path / "rows.csv"), "--to", str(tmp_path / "answer.csv"))
    listed = trainyard(service, "jobs", "list", "--limit", "1")
    (tmp_path / "one.csv").write_text("x,y\n7,a\n")
    (tmp_path / "schema.json").write_text('{"y": "categorical"}')
    (tmp_path / "one.csv").rename(tmp_path / "one.txt")
    words = ("--type", "csv", "--schema", str(tmp_path / "schema.json"))
    other = trainyard(service, "datasets", "upload", str(tmp_path / "one.txt"), *words).stdout.strip()
    evaluated = trainyard(service, "jobs", "evaluate", job, other, "--checkpoint", "last")

    told = json.loads(evaluated.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (told["rows"], told["epoch"], told["loss"] > 0, told["metrics"]["roc_auc"]) == (1, 3, True, "NaN")
    assert followed.returncode == 0
    assert "Epoch [3/3], Loss: " in followed.stdout
    assert followed.stdout.endswith("succeeded (max_epochs)\n")
    labels = json.loads(predicted.stdout)["predictions"]
    assert set(labels) <= {"a", "b"}
    assert (piped.returncode, piped.stdout) == (0, predicted.stdout), piped.stderr
    assert [line.partition(",")[0] for line in (tmp_path / "answer.csv").read_text().splitlines()] == ["prediction", *labels]
    assert job in listed.stdout
    assert "typed" in listed.stdout


def test_a_job_is_printed_as_a_script_that_runs(service: Service, tmp_path: Path) -> None:
    data, script = tmp_path / "data.csv", tmp_path / "job.py"
    data.write_text("x,y\n" + "".join(f"{x}.5,{'ab'[x % 2]}\n" for x in range(40)))
    with Client(service.url) as client:
        spec = {"dataset": client.upload(data)["id"], "target": "y", "epochs": 20, "precision": "fp64"}
        job = client.wait(client.submit(spec)["id"], timeout=60)
        stored = client.history(job["id"])

    script.write_text(trainyard(service, "code", job["id"]).stdout)
    done = subprocess.run([sys.executable, str(script), str(data)], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert lines[0] == ["epoch", "train_loss", "val_loss"]
    assert [float(line[1]) for line in lines[1:]] == pytest.approx(stored["train_loss"], rel=1e-9)
    assert [float(line[2]) for line in lines[1:]] == pytest.approx(stored["val_loss"], rel=1e-9)


def test_a_plan_says_what_a_job_would_be_and_its_exit_status_whether_it_would_be_taken(
    service: Service, tmp_path: Path
) -> None:
    dataset = trainyard(service, "datasets", "sample", "iris").stdout.strip()
    (tmp_path / "good.json").write_text(json.dumps({"dataset": dataset, "target": "species"}))
    (tmp_path / "bad.json").write_text(json.dumps({"dataset": dataset, "target": "nowhere"}))

    good = trainyard(service, "jobs", "plan", str(tmp_path / "good.json"))
    bad = trainyard(service, "jobs", "plan", str(tmp_path / "bad.json"))

    assert (good.returncode, json.loads(good.stdout)["parameters"]) == (0, 4 * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3)
    assert (bad.returncode, json.loads(bad.stdout)["would_be_refused"][0]["pointer"]) == (1, "/target")


def test_a_clone_is_typed_with_what_differs(service: Service) -> None:
    with Client(service.url) as client:
        spec = {"dataset": client.sample("iris")["id"], "target": "species", "early_stopping": {"patience": 3}}
        job = client.submit({**spec, "epochs": 2})["id"]
        words = ("--set", "epochs=4", "--set", "early_stopping=null", "--set", "name=again")
        made = trainyard(service, "jobs", "clone", job, *words).stdout.strip()
        refused = trainyard(service, "jobs", "clone", job, "--set", "epochs")
        unfounded = trainyard(service, "jobs", "clone", job, "--continue")

        assert client.job(made)["spec"] == client.job(job)["spec"] | {"epochs": 4, "early_stopping": None, "name": "again"}
    assert (unfounded.returncode, unfounded.stderr) == (1, "/continue: Say from which checkpoint: `from_checkpoint`.\n")
    assert (refused.returncode, refused.stderr) == (1, "epochs sets nothing: write PATH=VALUE.\n")


def test_a_sweep_is_typed_shown_and_cancelled(service: Service, tmp_path: Path) -> None:
    with Client(service.url) as client:
        spec = {"dataset": client.sample("iris")["id"], "target": "species", "epochs": 2}
        sweep = {"spec": spec, "method": "grid", "search": {"network.hidden_layers": {"choice": [[4], [8, 8]]}}}
        (tmp_path / "sweep.json").write_text(json.dumps(sweep))
        id = trainyard(service, "sweeps", "submit", str(tmp_path / "sweep.json")).stdout.strip()
        best = client.wait_for_sweep(id, timeout=60)["best"]

    shown = trainyard(service, "sweeps", "show", id).stdout
    cancelled = trainyard(service, "sweeps", "cancel", id).stdout

    assert best is not None
    lines = shown.splitlines()
    assert lines[0] == "succeeded: 2 of 2 trials are over, 0 of them failed"
    assert lines[1].split() == ["job", "status", "val_loss", "network.hidden_layers"]
    assert lines[2].split()[0] == best["job"]
    assert cancelled == "succeeded\n"


def test_a_refusal_is_told_in_sentences(service: Service, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"dataset": "ds_none", "target": "y", "epochs": 0}')

    done = trainyard(service, "jobs", "submit", str(tmp_path / "spec.json"))

    assert done.returncode == 1
    assert "/epochs: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "text", "sentence"),
    [
        (("jobs", "submit"), "{", "is not JSON"),
        (("jobs", "submit"), "[]", "does not hold a JSON object"),
        (("predict", "job_1"), '{"rows": []}', "does not hold a JSON list"),
    ],
)
def test_a_file_of_the_wrong_form_is_told_in_sentences(
    tmp_path: Path, words: tuple[str, ...], text: str, sentence: str
) -> None:
    (tmp_path / "file.json").write_text(text)

    done = typed("http://127.0.0.1:1", *words, str(tmp_path / "file.json"))

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("models", "predict", "flowers", "-"), "<stdin> does not hold a JSON list.\n"),
        (("predict", "job_1", "rows.csv", "--to", "out.txt"), "out.txt should end in .csv, .arrows, .json.\n"),
        (
            ("datasets", "upload", "rows.xlsx"),
            "rows.xlsx should end in .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow, .feather, .ipc, .arrows, .npz, or its type "
            "be said.\n",
        ),
    ],
)
def test_what_cannot_be_sent_is_told_in_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    for name in ("rows.csv", "rows.xlsx"):
        (tmp_path / name).write_text("x\n1\n")
    typed_words = [str(tmp_path / word) if word.startswith("rows.") else word for word in words]

    done = typed("http://127.0.0.1:1", *typed_words, sent="{}")

    assert (done.returncode, done.stderr) == (1, sentence)


@pytest.mark.parametrize("words", [("datasets", "upload"), ("predict", "job_1")])
def test_a_file_that_is_not_there_is_told_in_sentences(words: tuple[str, ...]) -> None:
    done = typed("http://127.0.0.1:1", *words, "nowhere.csv")

    assert done.returncode == 2
    assert "does not exist" in done.stderr


def test_a_job_that_diverged_is_listed_with_its_whole_id(service: Service) -> None:
    with Client(service.url) as client:
        spec = {"dataset": client.sample("iris")["id"], "target": "species", "epochs": 3}
        job = client.wait(client.submit({**spec, "optimizer": {"name": "sgd", "learning_rate": 1e30}})["id"], timeout=60)

    listed = trainyard(service, "jobs", "list", "--limit", "1", columns=80)

    assert job["latest"] is not None
    assert math.isnan(job["latest"]["val_loss"] or 0)
    assert job["id"] in listed.stdout
