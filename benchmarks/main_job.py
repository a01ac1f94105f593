"""The main job through the whole service against the textbook torch loop alone, and from POST to the first epoch.

    python -m benchmarks.main_job [--repeats 5]

Iris, 120 × 4 → 10 → 3, full batch, SGD, 20 000 epochs. The service's time runs from POST /v1/jobs to the answer that says
`succeeded`, with the validation loss and metrics of each epoch, all stored; the loop has training losses only, in a list.
Repeats are interleaved; one torch thread each.
"""

import argparse
import time
from statistics import median

import httpx2
import torch
from torch.nn import functional

from benchmarks.service import running_service

EPOCHS = 20_000
SPEC = {
    "target": "species",
    "network": {"hidden_layers": [10], "activation": "relu"},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "loss": {"name": "cross_entropy"},
    "batch_size": "full",
    "epochs": EPOCHS,
}


def textbook_loop(epochs: int) -> float:
    """Seconds of the loop that every tutorial shows."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(120, 4, generator=generator), torch.randint(0, 3, (120,), generator=generator)
    network = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    losses = []
    begin = time.perf_counter()
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), y)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        losses.append(loss.item())
    return time.perf_counter() - begin


def whole_service(client: httpx2.Client, dataset: str) -> float:
    """Seconds from submitting the job to knowing that it succeeded; all losses are there."""
    begin = time.perf_counter()
    job = client.post("/v1/jobs", json={"dataset": dataset, **SPEC}).raise_for_status().json()
    while not job["terminal"]:
        job = client.get(f"/v1/jobs/{job['id']}", params={"wait": 60}).raise_for_status().json()
    seconds = time.perf_counter() - begin
    assert job["status"] == "succeeded", job
    total = client.get(f"/v1/jobs/{job['id']}/history", params={"limit": 1}).raise_for_status().json()["total"]
    assert total == EPOCHS, total
    return seconds


def first_epoch(client: httpx2.Client, dataset: str) -> float:
    """Seconds from submitting a job to reading its first epoch."""
    begin = time.perf_counter()
    job = client.post("/v1/jobs", json={"dataset": dataset, **SPEC}).raise_for_status().json()["id"]
    client.get(f"/v1/jobs/{job}/history", params={"wait": 30}).raise_for_status().json()["epoch"][0]
    seconds = time.perf_counter() - begin
    client.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    client.get(f"/v1/jobs/{job}", params={"wait": 30}).raise_for_status()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    textbook_loop(1000)
    with running_service() as service, service.client() as client:
        dataset = client.post("/v1/datasets", json={"sample": "iris"}).raise_for_status().json()["id"]
        pairs = [(whole_service(client, dataset), textbook_loop(EPOCHS)) for _ in range(repeats)]
        starts = [first_epoch(client, dataset) for _ in range(4 * repeats)]
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"whole service: {median(ours for ours, _ in pairs):.2f} s, textbook loop: {median(loop for _, loop in pairs):.2f} s")
    print(f"ratio service / loop: median {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), goal <= 1.00")
    print(f"POST to first epoch: median {1000 * median(starts):.0f} ms (worst {1000 * max(starts):.0f} ms), goal <= 300 ms")


if __name__ == "__main__":
    main()
