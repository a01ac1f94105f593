"""What the rounds showed, as tables, and the goals beside the ratios."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.serving_ours import NARROW, WIDE
from benchmarks.serving_rounds import Case, Result, Results, middle

OURS, OURS_BINARY, TUTORIAL, MLSERVER = "Trainyard", "Trainyard V2 binary", "tutorial", "MLServer"

ONE, ALONE, MANY = Case(WIDE, 1, 16), Case(WIDE, 1, 1), Case(WIDE, 64, 16)
CASES = (ONE, ALONE, MANY, Case(NARROW, 1, 16))


@dataclass(frozen=True)
class Goal:
    """At least so many times the other's rate."""

    case: Case
    ours: str
    other: str
    least: float


GOALS = (
    Goal(ONE, OURS, TUTORIAL, 4),
    Goal(ONE, OURS, MLSERVER, 2),
    Goal(MANY, OURS, TUTORIAL, 5),
    Goal(MANY, OURS, MLSERVER, 1.3),
    Goal(MANY, OURS_BINARY, TUTORIAL, 20),
)


def print_table(case: Case, results: Results) -> None:
    """One line for each server."""
    print(f"\n{case}")
    print(f"  {'':20} requests/s   p50 ms   p99 ms   CPU ms/request   {OURS}'s requests/s to its")
    for name, rounds in results.items():
        ratio = "" if name == OURS else middle(_rates(results, OURS, name))
        print(f"  {name:20} {_figures(rounds)}   {ratio}")
    shares = [one.load.client_cpu / one.load.seconds for rounds in results.values() for one in rounds]
    print(f"  The client took {100 * max(shares):.0f} % of a processor at most.")


def _figures(rounds: Sequence[Result]) -> str:
    spent = [1000 * seconds for one in rounds for seconds in one.load.latencies]
    percentiles = quantiles(spent, n=100, method="inclusive")
    rate, cpu = median(one.load.rate for one in rounds), 1000 * median(one.cpu for one in rounds)
    return f"{rate:10.0f} {percentiles[49]:8.2f} {percentiles[98]:8.2f} {cpu:16.3f}"


def _rates(results: Results, one: str, other: str) -> list[float]:
    return [mine.load.rate / its.load.rate for mine, its in zip(results[one], results[other], strict=True)]


def print_goals(found: Mapping[Case, Results]) -> None:
    """Each with its ratio, as far as both were measured."""
    print()
    for goal in GOALS:
        results = found[goal.case]
        there = goal.ours in results and goal.other in results
        ratio = middle(_rates(results, goal.ours, goal.other)) if there else "not measured"
        print(f"{goal.case}: {goal.ours}'s rate / {goal.other}'s: {ratio}, goal >= {goal.least:g}")
    for case in CASES:
        if case.connections > 1 and MLSERVER in found[case]:
            print(f"{case}: {OURS}'s p99 / {MLSERVER}'s: {middle(_tails(found[case]))}, goal <= 1")


def _tails(results: Results) -> list[float]:
    pairs = zip(results[OURS], results[MLSERVER], strict=True)
    return [mine.load.percentile(99) / its.load.percentile(99) for mine, its in pairs]
