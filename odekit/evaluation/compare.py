"""Measures cases and builds the results document; shared by `odekit eval` and the experiments."""

from __future__ import annotations

import datetime
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.chains.dependencies import origins
from odekit.chains.record import versions
from odekit.core.device import processor_name
from odekit.evaluation.bootstrap import RESAMPLES
from odekit.evaluation.measure import Measured, stream
from odekit.evaluation.pairing import Case
from odekit.evaluation.panel import Panel
from odekit.evaluation.results import Group, Method, Results
from odekit.evaluation.rows import NAME, Facts, Rows
from odekit.evaluation.tally import Tally
from odekit.parts.installed import catalog


def compare(
    cases: Sequence[Case],
    methods: Sequence[Method],
    panel: Panel,
    *,
    name: str,
    title: str,
    description: str,
    out: Path | None = None,
    command: str = "",
    baseline: str = "",
    pairs: Sequence[tuple[str, str]] = (),
    seed: int = 0,
    processes: int | None = None,
    fit: bool = False,
    problems: Sequence[str] = (),
    machine: Mapping[str, Any] | None = None,
    facts: Facts | None = None,
    progress: Callable[[int, int], None] = lambda finished, total: None,
) -> Results:
    """Measure every case and build the document. With `out`, write `rows.csv` there, but not `results.json`.

    Args:
        cases: in order of their damage (`pairing.ordered`).
        methods: in the order of the tables.
        panel: the metrics.
        name: of the command.
        title: of the document.
        description: data, damage and seed in one line.
        out: folder of the document.
        command: the command line.
        baseline: the method whose differences from all others are listed; none where empty.
        pairs: further differences, each of a method and the one it is compared with.
        seed: of the bootstrap.
        processes: see `measure.stream`.
        fit: see `measure.stream`.
        problems: lines about images that could not be paired.
        machine: more facts about the machine.
        facts: calls and seconds of each image.
        progress: called with (finished, total) cases.
    """
    began, started = time.perf_counter(), datetime.datetime.now(datetime.timezone.utc)
    names = [method.name for method in methods]
    tally, faults, finished = Tally(panel, names, seed), Faults(list(problems)), 0
    with Rows(out, tally.pairs, names, facts) as rows:
        for chunk in stream(cases, panel, processes, fit):
            tally.add(chunk)
            rows.add(chunk)
            faults.add(chunk)
            finished += len(chunk)
            progress(finished, len(cases))
    groups = tuple(tally.groups())
    others = [(name, baseline) for name in names if name != baseline and baseline in names]
    return Results(
        name=name,
        title=title,
        how=description,
        command=command,
        seed=seed,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - began, 3),
        machine=this_machine(panel, machine or {}),
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
    """Collects the images and values that could not be measured."""

    lines: list[str]
    """A line for each image without any value."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By metric: the first image without a value, and the reason."""

    def add(self, chunk: Sequence[Measured]) -> None:
        """Add the faults of a chunk; repeated lines are left out."""
        listed = set(self.lines)
        for one in chunk:
            lines = (f"{one.case.name}: {error}" for error in one.errors.values())
            self.lines += [line for line in lines if line not in listed]
            for problems in one.problems.values():
                for metric, reason in problems.items():
                    self.reasons.setdefault(metric, f"{one.case.name}: {reason}")


def this_machine(panel: Panel, more: Mapping[str, Any]) -> dict[str, Any]:
    """The processor, the installed versions, and the distribution and version of every metric and part.

    Args:
        panel: the metrics.
        more: further facts, such as the `parts` of the compared chains.
    """
    metrics = origins(panel.parts.values(), catalog())
    facts = {"processor": processor_name(), "cores": os.cpu_count(), "versions": versions()}
    return facts | dict(more) | {"parts": {**more.get("parts", {}), **metrics}}


def notes(tally: Tally) -> list[str]:
    """The notes of the document: values left out, and how the intervals are computed."""
    lines = []
    infinite = sum(math.isinf(value) for column in tally.columns.values() for value in column)
    if infinite:
        lines.append(f"{infinite} values are infinite (PSNR of equal images): counted, but left out of the means.")
    failed = {method: sum(flags) for method, flags in tally.failed.items() if sum(flags)}
    if failed:
        counts = ", ".join(f"{method} {count}" for method, count in failed.items())
        lines.append(f"Images that could not be measured: {counts}; they are left out of the means.")
    if tally.panel.sets:
        lines.append("Distances between sets depend on the number of images: compare them only at equal numbers.")
    if any(tally.panel.about[name].better == "nearest" for name in tally.panel.metrics):
        lines.append("The best sharpness is 1, not the largest value.")
    lines.append(
        f"Brackets are 95 % bootstrap intervals over images (percentiles of {RESAMPLES:,} resamples); +- is the "
        "standard deviation over draws."
    )
    return lines


def missing_values(tally: Tally, groups: Sequence[Group], reasons: Mapping[str, str]) -> list[str]:
    """The reasons why metrics have no value, for some images or for a set."""
    lines = [f"{tally.panel.about[name].label} has no value for some images: {why}" for name, why in reasons.items()]
    for name in tally.panel.sets:
        whole = (group.values[name].note for group in groups if not group.kind)
        lines += [f"{tally.panel.about[name].label}: {note}." for note in dict.fromkeys(whole) if note]
    return lines
