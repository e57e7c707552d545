"""Cases to a results document: the part that `odekit eval` and the benches share."""

from __future__ import annotations

import datetime
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.core.device import processor_name
from odekit.evaluation.bootstrap import RESAMPLES
from odekit.evaluation.measure import Measured, stream
from odekit.evaluation.pairing import Case
from odekit.evaluation.panel import Panel
from odekit.evaluation.results import Group, Method, Results
from odekit.evaluation.rows import NAME, Facts, Rows
from odekit.evaluation.tally import Tally
from odekit.runs.record import versions


def compare(
    cases: Sequence[Case],
    methods: Sequence[Method],
    panel: Panel,
    *,
    name: str,
    title: str,
    how: str,
    out: Path | None = None,
    command: str = "",
    against: str = "",
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 0,
    processes: int | None = None,
    fit: bool = False,
    problems: Sequence[str] = (),
    machine: Mapping[str, Any] | None = None,
    facts: Facts | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Results:
    """Measure every case and sum up. With `out`, `rows.csv` is written there; `results.json` is left to the caller.

    Args:
        cases: in order of their damage (`cases.ordered`).
        methods: what is compared, in the order of the tables.
        panel: the metrics.
        name: of the command.
        title: of the document.
        how: data, damage and seed in a sentence.
        out: folder of the document.
        command: the command line.
        against: the method that differences of all others are taken from; none where empty.
        pairs: further differences, each of a method and the one it is held against.
        seed: of the bootstrap.
        processes: see `measure.stream`.
        fit: likewise.
        problems: lines about what could not be paired.
        machine: more facts about the machine.
        facts: calls and seconds of each picture.
        tell: is told (done, total) cases.
    """
    began, started = time.perf_counter(), datetime.datetime.now(datetime.timezone.utc)
    names = [method.name for method in methods]
    tally, faults, done = Tally(panel, names, seed), Faults(list(problems)), 0
    with Rows(out, tally.pairs, names, facts) as rows:
        for chunk in stream(cases, panel, processes, fit):
            tally.add(chunk)
            rows.add(chunk)
            faults.add(chunk)
            done += len(chunk)
            tell(done, len(cases))
    groups = tuple(tally.groups())
    others = [(name, against) for name in names if name != against and against in names]
    return Results(
        name=name,
        title=title,
        how=how,
        command=command,
        seed=seed,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - began, 3),
        machine=this_machine() | dict(machine or {}),
        metrics=tuple(panel.about[one] for one in panel.metrics),
        methods=tuple(methods),
        groups=groups,
        differences=tuple(tally.differences([*pairs, *others])),
        problems=tuple(faults.lines),
        notes=(*notes(tally), *missing_values(tally, groups, faults.reasons)),
        rows=rows.document,
        rows_file=NAME if out is not None else "",
    )


@dataclass
class Faults:
    """What could not be measured, as chunks go by."""

    lines: list[str]
    """A line for each picture without any value."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By metric: the first picture that it has no value for, and why."""

    def add(self, chunk: Sequence[Measured]) -> None:
        """The faults of a chunk; a line that was there before is not said again."""
        listed = set(self.lines)
        for one in chunk:
            told = (f"{one.case.name}: {error}" for error in one.errors.values())
            self.lines += [line for line in told if line not in listed]
            for problems in one.problems.values():
                for metric, reason in problems.items():
                    self.reasons.setdefault(metric, f"{one.case.name}: {reason}")


def this_machine() -> dict[str, Any]:
    """The processor and what is installed."""
    return {"processor": processor_name(), "cores": os.cpu_count(), "versions": versions()}


def notes(tally: Tally) -> list[str]:
    """What a reader of the numbers must know."""
    said = []
    infinite = sum(math.isinf(value) for column in tally.columns.values() for value in column)
    if infinite:
        said.append(f"{infinite} values are infinite (PSNR of equal pictures): counted, and in no mean.")
    failed = {method: sum(flags) for method, flags in tally.failed.items() if sum(flags)}
    if failed:
        counts = ", ".join(f"{method} {count}" for method, count in failed.items())
        said.append(f"Pictures that could not be measured: {counts}; they are in no mean, whose pictures are others.")
    if tally.panel.sets:
        said.append("Distances of sets depend on how many pictures there are: compare them at equal numbers alone.")
    if any(tally.panel.about[name].better == "nearest" for name in tally.panel.metrics):
        said.append("Sharpness is best at 1, not where it is largest.")
    said.append(
        f"Brackets are 95 % bootstrap intervals over pictures (percentiles of {RESAMPLES:,} resamples); +- is the "
        "standard deviation over draws."
    )
    return said


def missing_values(tally: Tally, groups: Sequence[Group], reasons: Mapping[str, str]) -> list[str]:
    """Why metrics have no value, for some pictures or for a set."""
    said = [f"{tally.panel.about[name].label} has no value for some pictures: {why}" for name, why in reasons.items()]
    for name in tally.panel.sets:
        whole = (group.values[name].note for group in groups if not group.kind)
        said += [f"{tally.panel.about[name].label}: {note}." for note in dict.fromkeys(whole) if note]
    return said
