"""The trials of a sweep: what each trains, or every reason why the sweep cannot be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from app.domain.errors import Fault, Invalid, pointer
from app.domain.faults import validated
from app.domain.metrics import lower_is_better, of_task
from app.domain.resolve_findings import Findings
from app.domain.spec import JobSpec, ResolvedSpec
from app.domain.spec.paths import path_above, path_exists, with_values
from app.domain.sweep import Mode, SweepSpec
from app.domain.sweep_sampling import Values, drawn, finite, grid, grid_size
from app.domain.sweep_search import Choice

MOST_FAULTS = 20


@dataclass(frozen=True)
class Trial:
    """One job of a sweep; `number` counts from 1."""

    number: int
    parameters: Values
    spec: JobSpec


def values_of(sweep: SweepSpec, *, most_trials: int) -> list[Values]:
    """What is set in each trial; Invalid or NotSupported with all that is wrong with the search."""
    findings = Findings()
    for path in sweep.search:
        if not path_exists(path):
            findings.fault("search", path, detail="A spec has no such field.", code="unknown_field")
    if sweep.stop is not None:
        findings.unsupported("stop", what="Ending trials early")
    if sweep.method == "tpe":
        findings.unsupported("method", what="Search by a model of the trials")
    elif sweep.method == "grid":
        _check_grid(sweep, findings, most_trials=most_trials)
    else:
        _check_random(sweep, findings, most_trials=most_trials)
    findings.raise_faults()
    return list(grid(finite(sweep.search)) if sweep.method == "grid" else _drawn(sweep))


def _drawn(sweep: SweepSpec) -> Iterable[Values]:
    assert sweep.trials is not None
    return drawn(sweep.search, trials=sweep.trials, seed=sweep.seed)


def _check_grid(sweep: SweepSpec, findings: Findings, *, most_trials: int) -> None:
    countable = finite(sweep.search)
    for path in [path for path in sweep.search if path not in countable]:
        detail = "A grid has no end here: name the values as a choice, or search at random."
        findings.fault("search", path, detail=detail)
    size, most = grid_size(countable), min(most_trials, sweep.trials or most_trials)
    if size > most:
        detail = f"The grid has {size} trials and may have {most}; search at random to try some of them."
        findings.fault("search" if sweep.trials is None else "trials", detail=detail, code="out_of_range")


def _check_random(sweep: SweepSpec, findings: Findings, *, most_trials: int) -> None:
    if sweep.trials is None:
        findings.fault("trials", detail="A random search needs a number of trials.", code="missing")
    elif sweep.trials > most_trials:
        findings.fault("trials", detail=f"A sweep may have {most_trials} trials.", code="out_of_range")


class TrialFindings:
    """Collects what is wrong with trials, each fault once and where the sweep caused it; raises at MOST_FAULTS."""

    def __init__(self, sweep: SweepSpec) -> None:
        self._sweep = sweep
        self._findings = Findings()
        self._known: set[tuple[str, str]] = set()

    def add(self, number: int, parameters: Values, faults: Sequence[Fault]) -> None:
        """Notes the faults of a trial's spec."""
        for fault in faults:
            place = _place(self._sweep, parameters, fault.pointer)
            if (place, fault.detail) in self._known:
                continue
            self._known.add((place, fault.detail))
            self._findings.faults.append(Fault(place, fault.code, f"Trial {number}: {fault.detail}"))
            if len(self._known) == MOST_FAULTS:
                self.raise_faults()

    def raise_faults(self) -> None:
        """Invalid or NotSupported with what was noted, if anything."""
        self._findings.raise_faults()


def _place(sweep: SweepSpec, parameters: Values, at: str) -> str:
    """Where in the sweep a fault of a trial's spec comes from: a searched value, else the spec."""
    found = path_above(parameters, at)
    if found is None:
        return pointer("spec") + at
    path, rest = found
    return pointer("search", path, *_position(sweep, path, parameters[path])) + rest


def _position(sweep: SweepSpec, path: str, value: JsonValue) -> Sequence[str | int]:
    """Of a choice, which of its values it was."""
    found = sweep.search[path]
    if not isinstance(found, Choice):
        return ()
    return "choice", next(place for place, one in enumerate(found.choice) if one is value)


def trials_of(sweep: SweepSpec, *, most_trials: int) -> list[Trial]:
    """Each trial's spec, as a caller would have sent it."""
    spec = sweep.spec.model_dump(mode="json", exclude_unset=True)
    findings = TrialFindings(sweep)
    trials: list[Trial] = []
    for number, parameters in enumerate(values_of(sweep, most_trials=most_trials), start=1):
        try:
            trials.append(Trial(number, parameters, validated(JobSpec, with_values(spec, parameters))))
        except Invalid as error:
            findings.add(number, parameters, error.faults)
    findings.raise_faults()
    return trials


def resolve_metric(sweep: SweepSpec, resolved: Sequence[ResolvedSpec]) -> tuple[str, Mode]:
    """By what trials are compared, and which way is better; Invalid where a trial does not report it."""
    metric = sweep.metric or ("val_loss" if all(spec.judged_rows for spec in resolved) else "train_loss")
    for number, spec in enumerate(resolved, start=1):
        if metric not in (known := _reported(spec)):
            raise Invalid.at("/metric", f"Trial {number} reports {', '.join(known)}.", code="not_allowed")
    return metric, sweep.mode or ("min" if lower_is_better(metric) else "max")


def _reported(spec: ResolvedSpec) -> list[str]:
    if not spec.judged_rows:
        return ["train_loss"]
    return ["train_loss", "val_loss", *(f"val_{name}" for name in of_task(spec.task))]
