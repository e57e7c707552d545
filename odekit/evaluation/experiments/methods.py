"""Methods run on the images of an experiment and compared; shared by table1, synergy, sweep and tradeoff."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.chain_file import find_chain_file
from odekit.core.files import read_json
from odekit.core.options import Part
from odekit.core.spelling import nearest
from odekit.errors import ConfigError, OdekitError
from odekit.evaluation.compare import compare
from odekit.evaluation.evaluate import open_panel
from odekit.evaluation.experiments.setting import ExperimentData, Setting, prepare_data
from odekit.evaluation.pairing import Case, pictures
from odekit.evaluation.panel import Panel
from odekit.evaluation.results import Method, Plot, Quote, Results
from odekit.parts.installed import catalog
from odekit.parts.stages.options import Upsample
from odekit.plugins.weights.lookup import require_weights
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions

Cost = tuple["int | None", "float | None"]
"""Network calls and seconds."""
SOURCE = Method("damaged", "Source (damaged)", "damaged")


class Interrupted(OdekitError):
    """The run was stopped before its end; finished results are kept."""

    def __init__(self, message: str, stopped: str) -> None:
        super().__init__(message)
        self.stopped = stopped
        """As `Summary.stopped`."""


@dataclass(frozen=True)
class MethodSpec:
    """A method to run."""

    name: str
    """The name of its folder; letters, digits, dots, dashes."""
    label: str
    chain: Chain
    source: Path | None = None
    """Folder of its inputs; the damaged images where None."""
    before: str = ""
    """The method whose results are its inputs; its costs are added."""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSettings:
    """How methods are run and measured."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    overwrite: bool = False
    processes: int | None = None
    command: str = ""
    report: Callable[[str], None] = lambda text: None
    """Called with a line on each step."""
    progress_bar: Callable[[], Any] = lambda: None
    """Makes a progress bar (a context manager) for one method."""


def parse_method(text: str) -> MethodSpec:
    """A method by the name of a chain, the path of one, or the name of an upsampler (`resize` changes nothing).

    Raises:
        ConfigError: no such chain or upsampler, with the nearest name.
    """
    text = text.strip()
    parts = catalog()
    if text not in parts.chains and text in parts.names("upsampler"):
        part = {"use": text, "scale": 1.0} if text == "resize" else text
        stage = Upsample(part) if isinstance(part, str) else {"upsample": part}
        return MethodSpec(text, text, Chain([stage], name=text))
    if text not in parts.chains and not Path(text).suffix and "/" not in text:
        raise ConfigError(f"unknown method '{text}'{nearest(text, [*parts.chains, *parts.names('upsampler')])}")
    name = find_chain_file(text, parts).stem
    return MethodSpec(name, name, Chain.load(text))


def parse_methods(text: str) -> list[MethodSpec]:
    """The methods of `--methods odedit,sdedit,resize`. Raises ConfigError: unknown, named twice, or none."""
    methods = [parse_method(name) for name in text.split(",") if name.strip()]
    names = [one.name for one in methods]
    if not methods or "damaged" in names:
        raise ConfigError(
            "--methods: name chains or upsamplers, separated by commas; the damaged pictures are always included"
        )
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--methods: two methods are called '{name}'; rename one of the files")
    return methods


def open_experiment(
    setting: Setting,
    methods: Sequence[MethodSpec],
    metrics: Mapping[str, Part],
    settings: RunSettings,
    out: Path,
    resume: bool,
) -> tuple[Panel, ExperimentData]:
    """The metrics and the images of an experiment, after a check that every chain can run.

    Raises:
        ConfigError: unknown damage or metric, or a folder of another experiment.
        InputError: no faces.
        WeightsError: weights of a metric or chain are absent.
    """
    panel = open_panel(metrics, settings.device)
    for one in methods:
        require_weights([weights["name"] for weights in one.chain.plan().weights], catalog())
    return panel, prepare_data(out, setting, resume, settings.overwrite)


def run_methods(
    setting: Setting,
    methods: Sequence[MethodSpec],
    metrics: Mapping[str, Part],
    settings: RunSettings,
    out: Path,
    resume: bool,
) -> tuple[Panel, ExperimentData]:
    """Open an experiment and run its methods one after the other; errors as in `open_experiment` and `run_method`."""
    panel, data = open_experiment(setting, methods, metrics, settings, out, resume)
    for one in methods:
        run_method(data, one, settings)
    return panel, data


def run_method(data: ExperimentData, one: MethodSpec, settings: RunSettings) -> None:
    """Run a method into OUT/methods/NAME; results that its records mark as finished are kept.

    Raises:
        Interrupted: by Ctrl-C or a signal.
        OdekitError: the chain cannot run at all (weights, device, or a folder of another chain).
    """
    out = method_folder(data, one.name)
    if settings.overwrite:
        shutil.rmtree(out, ignore_errors=True)
    options = RunOptions(
        out, data.setting.seed, settings.device, settings.precision, settings.batch_size, resume=True
    )  # fmt: skip
    settings.report(one.label)
    with settings.progress_bar() as bar:
        summary = Runner(one.chain, options, bar).run([one.source or data.damaged])
    if summary.stopped:
        message = f"stopped ({summary.stopped}) in {one.label}; finished results are in {data.out}, --resume continues"
        raise Interrupted(message, summary.stopped)


def method_folder(data: ExperimentData, name: str) -> Path:
    """The folder of a method's results."""
    return data.out / "methods" / name


def with_results(data: ExperimentData, names: Sequence[str]) -> list[Case]:
    """The cases with the results of methods, or the reason why there is none."""
    failures = {name: _failures(method_folder(data, name)) for name in names}
    results = {name: _results(method_folder(data, name)) for name in names}
    cases = []
    for case in data.cases:
        paths = {name: results[name].get(case.name) for name in names}
        images = dict(case.pictures) | {name: path for name, path in paths.items() if path is not None}
        errors = {
            name: f"{name} failed: {failures[name].get(case.name, 'no result')}" for name in names if not paths[name]
        }
        cases.append(replace(case, pictures=images, errors=errors))
    return cases


def _results(out: Path) -> dict[str, str]:
    try:
        return pictures(out)
    except ConfigError:  # every image failed
        return {}


def _failures(out: Path) -> dict[str, str]:
    listed = read_json(out / "failures.json")
    return {Path(one["input"]).stem: one["error"] for one in listed} if isinstance(listed, list) else {}


def read_costs(cases: Sequence[Case], names: Sequence[str]) -> dict[tuple[str, str], Cost]:
    """Calls and seconds by image and method, from the records."""
    costs: dict[tuple[str, str], Cost] = {}
    for case in cases:
        for name in names:
            path = case.pictures.get(name)
            record = None if path is None else read_json(Path(f"{path}.json"))
            if isinstance(record, dict):
                costs[case.name, name] = (record.get("calls"), record.get("seconds"))
    return costs


def summed_costs(costs: Mapping[tuple[str, str], Cost], one: MethodSpec) -> dict[tuple[str, str], Cost]:
    """The costs of a method plus those of the method whose results are its inputs."""
    out: dict[tuple[str, str], Cost] = {}
    for (case, name), (calls, seconds) in costs.items():
        if name == one.name:
            more_calls, more_seconds = costs.get((case, one.before), (None, None))
            out[case, name] = (
                None if calls is None or more_calls is None else calls + more_calls,
                None if seconds is None or more_seconds is None else seconds + more_seconds,
            )
    return out


def describe_method(one: MethodSpec, costs: Mapping[tuple[str, str], Cost]) -> Method:
    """The entry of a method in the document, with its mean costs."""
    costs_of_method = [cost for (_, name), cost in costs.items() if name == one.name]
    calls = [calls for calls, _ in costs_of_method if calls is not None]
    seconds = [seconds for _, seconds in costs_of_method if seconds is not None]
    means = [sum(values) / len(values) if values else None for values in (calls, seconds)]
    return Method(one.name, one.label, "chain", one.chain.tree(), means[0], means[1], one.settings)


def run_environment(data: ExperimentData, names: Sequence[str]) -> dict[str, Any]:
    """Device, precision, batch size and threads of the first run, by its `run.json`; the origin of the parts of all."""
    found: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name in names:
        stored = read_json(method_folder(data, name) / "run.json")
        if isinstance(stored, dict):
            found = found or {key: stored[key] for key in ("device", "precision", "slots", "threads") if key in stored}
            depends = stored.get("depends")
            parts |= depends.get("parts", {}) if isinstance(depends, dict) else {}
    return found | ({"parts": parts} if parts else {})


def compare_methods(
    data: ExperimentData,
    methods: Sequence[MethodSpec],
    settings: RunSettings,
    *,
    name: str,
    title: str,
    panel: Panel,
    quotes: tuple[Quote, ...] = (),
    plots: tuple[Plot, ...] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> Results:
    """Measure all methods and the damaged images; `rows.csv` is written into the experiment's folder.

    Args:
        data: the images.
        methods: that were run.
        settings: how they were run.
        name: of the experiment.
        title: of the document.
        panel: the metrics.
        quotes: published figures.
        plots: of the document.
        pairs: of methods whose differences are wanted beside those from the damaged images.
    """
    names = [one.name for one in methods]
    cases = with_results(data, names)
    costs = read_costs(cases, names)
    seconds = {
        name: round(sum(cost[1] or 0.0 for (_, method), cost in costs.items() if method == name), 2) for name in names
    }
    for one in methods:
        if one.before:
            costs |= summed_costs(costs, one)
    settings.report("measuring")
    results = compare(
        cases, [SOURCE, *(describe_method(one, costs) for one in methods)], panel, name=name, title=title,
        description=data.setting.describe(data.source, len(cases)), out=data.out, command=settings.command,
        baseline=SOURCE.name, pairs=pairs, seed=data.setting.seed, processes=settings.processes, fit=True,
        machine=run_environment(data, names),
        facts=lambda case, method: costs.get((case.name, method), (None, None)),
    )  # fmt: skip
    return replace(results, quotes=quotes, plots=plots, machine=dict(results.machine) | {"chain_seconds": seconds})
