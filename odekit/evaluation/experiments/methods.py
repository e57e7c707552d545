"""Methods run on the pictures of an experiment, and compared: what table1, synergy and sweep have in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain, find_chain
from odekit.core.files import read_json
from odekit.core.spelling import nearest
from odekit.errors import ConfigError, OdekitError
from odekit.evaluation.compare import compare
from odekit.evaluation.experiments.setting import Stage
from odekit.evaluation.pairing import Case, pictures
from odekit.evaluation.panel import Panel
from odekit.evaluation.results import Method, Plot, Quote, Results
from odekit.parts.installed import catalog
from odekit.parts.stages.options import Upsample
from odekit.plugins.weights.lookup import require
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions

Cost = tuple["int | None", "float | None"]
"""Network calls and seconds."""
SOURCE = Method("damaged", "Source (damaged)", "damaged")


class Interrupted(OdekitError):
    """The run was stopped before its end; what was finished is kept."""

    def __init__(self, message: str, stopped: str) -> None:
        super().__init__(message)
        self.stopped = stopped
        """As `Summary.stopped`."""


@dataclass(frozen=True)
class Contender:
    """A method that is run."""

    name: str
    """Of its folder; letters, digits, dots, dashes."""
    label: str
    chain: Chain
    source: Path | None = None
    """Folder of its inputs; the damaged pictures where None."""
    before: str = ""
    """The method that made its inputs, whose costs are added to its own."""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class How:
    """How methods are run and measured."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    overwrite: bool = False
    processes: int | None = None
    command: str = ""
    tell: Callable[[str], None] = lambda text: None
    progress: Callable[[], Any] = lambda: None
    """Makes a progress bar (a context) for one method."""


def contender(text: str) -> Contender:
    """A method by the name of a chain, the path of one, or the name of an upsampler (`resize` changes nothing).

    Raises:
        ConfigError: no such chain or upsampler, with the nearest name.
    """
    text = text.strip()
    parts = catalog()
    if text not in parts.chains and text in parts.names("upsampler"):
        part = {"use": text, "scale": 1.0} if text == "resize" else text
        return Contender(
            text, text, Chain([Upsample(part) if isinstance(part, str) else {"upsample": part}], name=text)
        )
    if text not in parts.chains and not Path(text).suffix and "/" not in text:
        raise ConfigError(f"unknown method '{text}'{nearest(text, [*parts.chains, *parts.names('upsampler')])}")
    name = find_chain(text, parts).stem
    return Contender(name, name, Chain.load(text))


def contenders(text: str) -> list[Contender]:
    """`--methods odedit,sdedit,resize`. Raises ConfigError: unknown, named twice, or none."""
    found = [contender(name) for name in text.split(",") if name.strip()]
    names = [one.name for one in found]
    if not found or "damaged" in names:
        raise ConfigError(
            "--methods: name chains or upsamplers, with commas between; the damaged pictures are always in"
        )
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--methods: two are called '{name}'; rename a file")
    return found


def ready(entrants: Sequence[Contender]) -> None:
    """See to it that every chain can run, before the first one does. Raises ConfigError or WeightsError."""
    for one in entrants:
        require([weights["name"] for weights in one.chain.plan().weights], catalog())


def run(stage: Stage, one: Contender, how: How) -> None:
    """Run a method into OUT/methods/NAME; what its records prove done is left alone.

    Raises:
        Interrupted: by Ctrl-C or the like.
        OdekitError: the chain cannot run at all (weights, device, or a folder of another chain).
    """
    out = folder(stage, one.name)
    if how.overwrite:
        shutil.rmtree(out, ignore_errors=True)
    options = RunOptions(
        out, stage.setting.seed, how.device, how.precision, how.batch_size, resume=True
    )  # fmt: skip
    how.tell(f"{one.label}")
    with how.progress() as bar:
        summary = Runner(one.chain, options, bar).run([one.source or stage.damaged])
    if summary.stopped:
        said = f"stopped ({summary.stopped}) in {one.label}; what was finished is in {stage.out}, --resume goes on"
        raise Interrupted(said, summary.stopped)


def folder(stage: Stage, name: str) -> Path:
    """Where the results of a method lie."""
    return stage.out / "methods" / name


def results_of(stage: Stage, names: Sequence[str]) -> list[Case]:
    """The cases with the results of methods, or why there is none."""
    failures = {name: _failures(folder(stage, name)) for name in names}
    there = {name: _results(folder(stage, name)) for name in names}
    cases = []
    for case in stage.cases:
        found = {name: there[name].get(case.name) for name in names}
        pictures = dict(case.pictures) | {name: path for name, path in found.items() if path is not None}
        errors = {
            name: f"{name} failed: {failures[name].get(case.name, 'no result')}" for name in names if not found[name]
        }
        cases.append(replace(case, pictures=pictures, errors=errors))
    return cases


def _results(out: Path) -> dict[str, str]:
    try:
        return pictures(out)
    except ConfigError:  # every picture failed
        return {}


def _failures(out: Path) -> dict[str, str]:
    listed = read_json(out / "failures.json")
    return {Path(one["input"]).stem: one["error"] for one in listed} if isinstance(listed, list) else {}


def costs(cases: Sequence[Case], names: Sequence[str]) -> dict[tuple[str, str], Cost]:
    """Calls and seconds by picture and method, from the records."""
    found: dict[tuple[str, str], Cost] = {}
    for case in cases:
        for name in names:
            path = case.pictures.get(name)
            record = None if path is None else read_json(Path(f"{path}.json"))
            if isinstance(record, dict):
                found[case.name, name] = (record.get("calls"), record.get("seconds"))
    return found


def added(found: Mapping[tuple[str, str], Cost], one: Contender) -> dict[tuple[str, str], Cost]:
    """The costs of a method and of the one before it."""
    out: dict[tuple[str, str], Cost] = {}
    for (case, name), (calls, seconds) in found.items():
        if name == one.name:
            more_calls, more_seconds = found.get((case, one.before), (None, None))
            out[case, name] = (
                None if calls is None or more_calls is None else calls + more_calls,
                None if seconds is None or more_seconds is None else seconds + more_seconds,
            )
    return out


def described(one: Contender, found: Mapping[tuple[str, str], Cost]) -> Method:
    """A method with its mean costs."""
    mine = [cost for (_, name), cost in found.items() if name == one.name]
    calls = [calls for calls, _ in mine if calls is not None]
    seconds = [seconds for _, seconds in mine if seconds is not None]
    mean = [sum(values) / len(values) if values else None for values in (calls, seconds)]
    return Method(one.name, one.label, "chain", one.chain.tree(), mean[0], mean[1], one.settings)


def machine(stage: Stage, names: Sequence[str]) -> dict[str, Any]:
    """Device, precision, slots and threads, as the first run wrote them."""
    for name in names:
        stored = read_json(folder(stage, name) / "run.json")
        if isinstance(stored, dict):
            return {key: stored[key] for key in ("device", "precision", "slots", "threads") if key in stored}
    return {}


def compared(
    stage: Stage,
    entrants: Sequence[Contender],
    how: How,
    *,
    name: str,
    title: str,
    panel: Panel,
    quotes: tuple[Quote, ...] = (),
    plots: tuple[Plot, ...] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> Results:
    """Measure all methods and the damaged pictures; `rows.csv` is written into the experiment's folder."""
    names = [one.name for one in entrants]
    cases = results_of(stage, names)
    found = costs(cases, names)
    spent = {
        name: round(sum(cost[1] or 0.0 for (_, whose), cost in found.items() if whose == name), 2) for name in names
    }
    for one in entrants:
        if one.before:
            found |= added(found, one)
    how.tell("measuring")
    results = compare(
        cases, [SOURCE, *(described(one, found) for one in entrants)], panel, name=name, title=title,
        how=stage.setting.said(stage.source, len(cases)), out=stage.out, command=how.command, against=SOURCE.name,
        pairs=pairs,
        seed=stage.setting.seed, processes=how.processes, fit=True, machine=machine(stage, names),
        facts=lambda case, method: found.get((case.name, method), (None, None)),
    )  # fmt: skip
    return replace(results, quotes=quotes, plots=plots, machine=dict(results.machine) | {"chain_seconds": spent})
