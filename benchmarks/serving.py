"""One prediction server beside others on the same weights: the tutorial's endpoint, MLServer, MLflow, BentoML, LitServe.

    python -m benchmarks.serving [--quick] [--repeats 5] [--seconds 2] [--peers tutorial MLServer]

Each runs in its own virtual environment (made where it is not there, about 4 GB in all, in the user's cache folder), in one
process where it can, with one thread, and writes no line for each request; ours is `trainyard api` as it comes, whose log has
one. One client asks all of them in turns. `--quick` shows that it runs.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.serving_ours import WIDE, Job, api, train
from benchmarks.serving_peers import PEERS, Peer, prepare, serving
from benchmarks.serving_requests import PLAIN, V2_BINARY
from benchmarks.serving_rounds import Case, Contender, Results, check, first_answer, has_path, measured
from benchmarks.serving_server import Server
from benchmarks.serving_table import CASES, OURS, OURS_BINARY, print_goals, print_table

MB = 2**20


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    peers = [peer for peer in PEERS if peer.name in arguments.peers and _is_prepared(peer)]
    with tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder:
        print_goals(_compare(Path(folder), peers, repeats=arguments.repeats, seconds=arguments.seconds))


def _compare(folder: Path, peers: Sequence[Peer], *, repeats: int, seconds: float) -> dict[Case, Results]:
    found: dict[Case, Results] = {}
    jobs, models = train(folder / "data")
    _print_memory(folder / "data", jobs[WIDE], models)
    for job in jobs.values():
        with _contenders(folder, job, peers) as contenders:
            found |= _measure(contenders, job, repeats=repeats, seconds=seconds)
    return found


def _measure(contenders: Sequence[Contender], job: Job, *, repeats: int, seconds: float) -> dict[Case, Results]:
    found = {}
    for case in (case for case in CASES if case.shape == job.shape):
        found[case] = measured(case, contenders, job, repeats=repeats, seconds=seconds)
        print_table(case, found[case])
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seconds", type=float, help="of a round")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", nargs="*", choices=names, default=names)
    arguments = parser.parse_args()
    arguments.repeats = arguments.repeats or (1 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (0.5 if arguments.quick else 2)
    return arguments


def _is_prepared(peer: Peer) -> bool:
    try:
        prepare(peer)
    except (OSError, RuntimeError) as error:
        print(f"{peer.name} is left out: {error}")
        return False
    return True


def _print_memory(folder: Path, job: Job, models: Sequence[str]) -> None:
    with api(folder) as server:
        for model in models:
            first_answer(_ours(server, model), job.rows[:1])
        resident = server.resident_bytes() / MB
    print(f"An API process with {len(models)} models of {job.shape} in memory: {resident:.0f} MB, goal <= 250 MB", flush=True)


@contextmanager
def _contenders(folder: Path, job: Job, peers: Sequence[Peer]) -> Iterator[list[Contender]]:
    """All that answer, and answer right; they start side by side."""
    with ExitStack() as stack:
        theirs = [contender for peer in peers for contender in _started(stack, peer, job, folder)]
        ours = stack.enter_context(api(folder / "data"))
        yield [*_ours_of(ours, job), *(contender for contender in theirs if _is_right(contender, job))]


def _ours_of(server: Server, job: Job) -> list[Contender]:
    rows, binary = _ours(server, job.id), Contender(OURS_BINARY, server, f"/v2/models/{job.id}/infer", V2_BINARY)
    check(rows, job)
    if not has_path(binary, job):
        print(f"{OURS_BINARY}: not there yet (404)")
        return [rows]
    check(binary, job)
    return [rows, binary]


def _ours(server: Server, job: str) -> Contender:
    return Contender(OURS, server, f"/v1/jobs/{job}/predict", PLAIN)


def _started(stack: ExitStack, peer: Peer, job: Job, folder: Path) -> list[Contender]:
    try:
        server = stack.enter_context(serving(peer, job, folder / f"{peer.name}-{job.id}"))
        return [Contender(peer.name, server, peer.path, peer.form)]
    except (OSError, RuntimeError) as error:
        print(f"{peer.name} is left out: {error}")
        return []


def _is_right(contender: Contender, job: Job) -> bool:
    try:
        check(contender, job)
    except (OSError, RuntimeError) as error:
        print(f"{contender.name} is left out: {error}; {contender.server.last_words()}")
        return False
    return True


if __name__ == "__main__":
    main()
