"""The event stream: everything once and in order, whatever breaks in between, and never longer than the server lives."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from app.domain.job import StopReason
from tests.api.service import NO_BROKER, Service, Trained, assert_problem, pointers
from tests.servers.plain import NOBODY
from tests.servers.processes import free_port, wait_until_listening
from tests.servers.processes import running as server_process


class Told(NamedTuple):
    id: str
    event: str
    data: dict[str, Any]


def told(lines: Iterator[str]) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def read(service: Service, job: str, *, last: str | None = None, **params: str | int) -> list[Told]:
    """The stream of a job that ends, to its end."""
    headers = {"Last-Event-ID": last} if last else {}
    with service.client.stream("GET", f"/v1/jobs/{job}/stream", params=params, headers=headers) as answer:
        assert answer.status_code == 200
        return list(told(answer.iter_lines()))


def epochs(events: list[Told]) -> list[int]:
    return [epoch for event in events if event.event == "epochs" for epoch in event.data["epoch"]]


def names(events: list[Told]) -> list[str]:
    return [event.data["status"] if event.event == "status" else event.event for event in events]


@pytest.fixture
def finished(service: Service) -> str:
    """A job of 2 500 epochs, a checkpoint in the middle, that succeeded."""
    id: str = service.submit(epochs=2500)["id"]
    worker = Trained(service)
    worker.train(1, 1200)
    worker.checkpoint(1200, "best")
    worker.train(1201, 2500)
    worker.finish()
    return id


def test_a_fresh_connection_to_a_finished_job_tells_the_whole_story_in_order(service: Service, finished: str) -> None:
    events = read(service, finished)

    assert epochs(events) == list(range(1, 2501))
    story = [name for name, before in zip(names(events), ["", *names(events)], strict=False) if name != before]
    assert story == ["queued", "running", "epochs", "checkpoint", "epochs", "succeeded", "done"]
    assert events[-1].data["progress"]["epoch"] == 2500
    checkpoint = next(event for event in events if event.event == "checkpoint")
    assert checkpoint.id == "1200.3"


def test_a_reconnect_at_any_place_gets_exactly_what_was_missed(service: Service, finished: str) -> None:
    events = read(service, finished)

    for place, event in enumerate(events[:-1]):
        missed = read(service, finished, last=event.id)
        assert epochs(missed) == epochs(events[place + 1 :])
        assert [e.event for e in missed if e.event != "epochs"] == [e.event for e in events[place + 1 :] if e.event != "epochs"]


def test_a_reconnect_of_who_had_done_gets_204_and_only_that(service: Service, finished: str) -> None:
    events = read(service, finished)
    done, path = events[-1].id, f"/v1/jobs/{finished}/stream"

    for answer in (
        service.client.get(path, headers={"Last-Event-ID": done}),
        service.client.get(path, params={"after": "0.1"}, headers={"Last-Event-ID": done}),
        service.client.get(path, headers={"Last-Event-ID": f"2500.{2**31 - 1}"}),
    ):
        assert (answer.status_code, answer.content) == (204, b"")
    for again in (
        read(service, finished, after=events[-2].id),
        read(service, finished, after=done),
        read(service, finished, after=done, last=events[-2].id),
    ):
        assert [event.event for event in again] == ["done"]


def test_an_epoch_alone_says_nothing_of_the_events(service: Service, finished: str) -> None:
    assert names(read(service, finished, after=2500)) == ["queued", "running", "checkpoint", "succeeded", "done"]


def test_after_may_be_an_epoch_and_every_thins(service: Service, finished: str) -> None:
    events = read(service, finished, after=1000, every=500)

    assert epochs(events) == [1500, 2000, 2500]
    assert epochs(read(service, finished, every=1000)) == [1, 1000, 2000]


def test_a_line_for_each_epoch_for_people_with_curl(service: Service) -> None:
    id = service.submit(epochs=20)["id"]
    worker = Trained(service)
    worker.train(1, 20, loss={20: float("nan")})
    worker.finish(StopReason.NON_FINITE_LOSS, message="x")

    answer = service.client.get(f"/v1/jobs/{id}/stream", params={"every": 10}, headers={"Accept": "text/plain"})

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.splitlines() == [
        "Epoch [1/20], Loss: 1.0000, Val loss: 1.0000",
        "Epoch [10/20], Loss: 0.1000, Val loss: 0.1000",
        "Epoch [20/20], Loss: nan, Val loss: nan",
        "Failed at epoch 20, non_finite_loss: x",
    ]


def lines(service: Service, id: str) -> list[str]:
    """The stream as text of a job that ends."""
    return service.client.get(f"/v1/jobs/{id}/stream", headers={"Accept": "text/plain"}).text.splitlines()


def test_the_text_tells_why_no_epoch_follows(service: Service) -> None:
    queued, trained = service.submit(priority=-1)["id"], service.submit(epochs=2)["id"]
    worker = Trained(service)
    worker.train(1, 2)
    worker.finish()
    service.post(f"/v1/jobs/{queued}/cancel")

    assert lines(service, trained) == [
        "Epoch [1/2], Loss: 1.0000, Val loss: 1.0000",
        "Epoch [2/2], Loss: 0.5000, Val loss: 0.5000",
    ]
    assert lines(service, queued) == ["Cancelled at epoch 0."]


def test_the_text_tells_what_a_live_job_waits_for(service: Service) -> None:
    id = service.submit()["id"]
    with service.client.stream("GET", f"/v1/jobs/{id}/stream", headers={"Accept": "text/plain"}) as answer:
        text = answer.iter_lines()
        seen = [next(text)]
        service.post(f"/v1/jobs/{id}/pause")
        seen.append(next(text))
        service.post(f"/v1/jobs/{id}/resume")
        seen.append(next(text))
        service.post(f"/v1/jobs/{id}/cancel")
        seen += list(text)

    assert seen == ["Queued.", "Paused at epoch 0.", "Queued.", "Cancelled at epoch 0."]


def test_a_connected_client_sees_epochs_as_they_come_and_none_twice_after_a_crash(service: Service) -> None:
    id = service.submit()["id"]
    worker = Trained(service)
    with service.client.stream("GET", f"/v1/jobs/{id}/stream") as answer:
        events = told(answer.iter_lines())
        worker.train(1, 5)
        seen = [next(events) for _ in range(3)]
        worker.crash()
        seen += [next(events)]
        worker.claim()
        worker.train(1, 7)
        worker.finish()
        seen += list(events)

    assert epochs(seen) == [1, 2, 3, 4, 5, 6, 7]
    assert names(seen) == ["queued", "running", "epochs", "queued", "running", "epochs", "succeeded", "done"]


def test_many_streams_are_woken_by_one_change(small: Service) -> None:
    id = small.submit()["id"]
    worker = Trained(small)
    found: list[list[int]] = []
    ready = threading.Barrier(61)

    def follow() -> None:
        with (
            httpx2.Client(base_url=small.client.base_url, timeout=30, verify=NOBODY) as client,
            client.stream("GET", f"/v1/jobs/{id}/stream") as answer,
        ):
            events = told(answer.iter_lines())
            first = next(events)
            ready.wait(20)
            found.append(epochs([first, *events]))

    threads = [threading.Thread(target=follow) for _ in range(60)]
    for thread in threads:
        thread.start()
    ready.wait(20)
    assert small.get("/livez") == {"status": "ok"}
    worker.train(1, 3)
    worker.finish()
    for thread in threads:
        thread.join(20)

    assert found == [[1, 2, 3]] * 60


def test_a_stream_ends_when_its_job_is_deleted_under_it(small: Service) -> None:
    id = small.submit()["id"]
    with small.client.stream("GET", f"/v1/jobs/{id}/stream") as answer:
        events = told(answer.iter_lines())
        assert next(events).event == "status"
        small.post(f"/v1/jobs/{id}/cancel")
        rest = [event.event for event in events]

    assert rest == ["status", "done"]


@pytest.mark.parametrize("id", ["x", "1.2.3", "-1", "1.", "99999999999999"])
def test_an_id_that_is_none_is_refused(shared: Service, id: str) -> None:
    job = shared.submit()["id"]

    by_header = shared.client.get(f"/v1/jobs/{job}/stream", headers={"Last-Event-ID": id})
    by_query = shared.client.get(f"/v1/jobs/{job}/stream", params={"after": id})

    assert (pointers(by_header), pointers(by_query)) == (["Last-Event-ID"], ["after"])


def test_an_unknown_parameter_is_refused_before_the_stream_begins(shared: Service) -> None:
    assert_problem(shared.client.get("/v1/jobs/job_1/stream", params={"from": 1}), 422, "invalid_request")


def test_at_sigterm_open_streams_and_waits_end_and_the_process_with_them(sqlite_url: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", str(port)]
    environment = {
        "TRAINYARD_DATA": str(tmp_path / "data"),
        "TRAINYARD_DATABASE_URL": sqlite_url,
        "TRAINYARD_REDIS_URL": NO_BROKER,
    }
    with server_process(command, log=log, environment=environment) as process:
        wait_until_listening(process, port, log=log)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=NOBODY) as client:
            dataset = client.post("/v1/datasets", json={"sample": "iris"}).json()["id"]
            job = client.post("/v1/jobs", json={"dataset": dataset, "target": "species"}).json()["id"]
            with client.stream("GET", f"/v1/jobs/{job}/stream") as answer:
                events = told(answer.iter_lines())
                first = next(events)
                process.send_signal(signal.SIGTERM)
                rest = list(events)
        code = process.wait(15)

    assert (first.event, rest) == ("status", [])
    assert code in (0, -signal.SIGTERM), log.read_text()
