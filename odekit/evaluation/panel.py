"""The metrics of a comparison, grouped by their input: quick metrics of pairs, networks, and metrics of sets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from odekit.chains.document import Document, parse_yaml
from odekit.chains.resolve import Resolver
from odekit.core.abilities import HasLeastSide, IsLight, MeasuresMany
from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Part
from odekit.errors import ConfigError, InputError, OdekitError
from odekit.parts.installed import catalog
from odekit.parts.metrics.base import MetricInfo, describe_metric
from odekit.plugins.catalog import BUILT_IN

DEFAULT = "psnr,ssim,swd,ciede2000,sharpness"
"""Metrics that need no weights; `ciede2000` needs scikit-image."""


def default_metrics() -> str:
    """The default of `--metrics`: `DEFAULT`, without what needs a package that is not installed."""
    absent = () if find_spec("skimage") else ("ciede2000",)
    return ",".join(name for name in DEFAULT.split(",") if name not in absent)


@dataclass(frozen=True)
class Panel:
    """Metrics by name."""

    parts: Mapping[str, Part]
    metrics: Mapping[str, Any]
    about: Mapping[str, MetricInfo]

    @property
    def sets(self) -> list[str]:
        """Names of the metrics of sets."""
        return [name for name, facts in self.about.items() if facts.of == "set"]

    @property
    def light(self) -> list[str]:
        """Names of the quick metrics of pairs, which several processes compute."""
        return [name for name in self.metrics if name not in self.sets and is_light(self.metrics[name])]

    @property
    def heavy(self) -> list[str]:
        """Names of the other metrics of pairs: networks, which take many images at once."""
        return [name for name in self.metrics if name not in self.sets and name not in self.light]

    def recipe(self) -> str:
        """The light metrics as text, for other processes."""
        return json.dumps([self.parts[name].tree() for name in self.light])


def is_light(metric: object) -> bool:
    """Whether a metric of pairs is quick and needs no network."""
    return isinstance(metric, IsLight) and metric.light


def choose(text: str) -> dict[str, Part]:
    """The parts of `--metrics psnr,ssim` or `--metrics "psnr,{use: ssim, window: gaussian}"`, checked, by name.

    Raises:
        ConfigError: an unknown metric or option, one named twice, or none.
    """
    document = parse_yaml(f"[{text}]", "--metrics")
    resolver = Resolver(catalog(), Document(document.data, "--metrics", {}))
    parts: dict[str, Part] = {}
    for raw in document.data:
        part = resolver.part("metric", raw, ())
        if part.name in parts:
            raise ConfigError(f"--metrics names '{part.name}' twice")
        parts[part.name] = part
    if not parts:
        raise ConfigError(f"--metrics is empty; available: {', '.join(catalog().names('metric'))}")
    return parts


def make(parts: Mapping[str, Part], tools: Tools | None) -> Panel:
    """The metrics. Raises WeightsError, with the command that gets them, where weights are absent."""
    metrics, facts = {}, {}
    for name, part in parts.items():
        entry = catalog().entry_of(part)
        metrics[name] = entry.load()(part.options, tools)
        facts[name] = describe_metric(name.rpartition(":")[2], metrics[name], entry.summary)
    return Panel(parts, metrics, facts)


@cache
def rebuild(recipe: str) -> dict[str, Any]:
    """Light metrics from `Panel.recipe()`, made once in a process."""
    resolver = Resolver(catalog(), Document({}, "", {}, owner=BUILT_IN))
    parts = [resolver.part("metric", tree, ()) for tree in json.loads(recipe)]
    return {part.name: catalog().entry_of(part).load()(part.options, None) for part in parts}


def measure_pair(
    metrics: Mapping[str, Any], restored: Image, reference: Image
) -> tuple[dict[str, float], dict[str, str]]:
    """The values of metrics of pairs, and the reasons for those that are NaN."""
    values: dict[str, float] = {}
    problems: dict[str, str] = {}
    for name, metric in metrics.items():
        value, reason = measure_pairs(metric, [restored], [reference])
        values[name] = value[0]
        if reason[0]:
            problems[name] = reason[0]
    return values, problems


def measure_pairs(metric: Any, restored: Sequence[Image], reference: Sequence[Image]) -> tuple[list[float], list[str]]:
    """A metric of pairs on several pairs: values, and the reasons for NaN. Uses `measure_many` where there is one."""
    side = metric.least_side if isinstance(metric, HasLeastSide) else 1
    values = [float("nan")] * len(restored)
    reasons = [
        f"{a.width}x{a.height} is smaller than the {side} px it needs" if min(a.height, a.width) < side else ""
        for a in restored
    ]
    ready = [i for i, reason in enumerate(reasons) if not reason]
    measure_many = metric.measure_many if isinstance(metric, MeasuresMany) else None
    try:
        if measure_many is not None and ready:
            for i, value in zip(
                ready, measure_many([restored[i] for i in ready], [reference[i] for i in ready]), strict=True
            ):
                values[i] = float(value)
            ready = []
    except InputError:
        pass  # the loop below measures the pairs one by one and records the reason of the one that fails
    for i in ready:
        try:
            values[i] = float(metric.measure(restored[i], reference[i]))
        except InputError as error:
            reasons[i] = str(error)
        except OdekitError:
            raise
        except Exception as error:  # a plugin's metric may raise anything
            reasons[i] = f"{type(error).__name__}: {error}"
    for i, value in enumerate(values):
        if value != value and not reasons[i]:
            reasons[i] = "no value for this pair"
    return values, reasons
