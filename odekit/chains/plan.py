"""The plan of a chain, computed without loading weights: network calls, weights, licences, and grid errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from odekit.chains.document import format_path
from odekit.chains.requirements import UsedPart, describe_weights, usage_of_part, weight_names_of
from odekit.chains.resolve import ChainSpec, iter_stages, prior_of
from odekit.core.abilities import Cost, CountsFaces, HasCost, HasDescription, HasSolver, RepeatsChains
from odekit.core.options import Options, Part, nested_option_models, part_fields, prior_fields
from odekit.core.schedule import NoiseSchedule
from odekit.errors import ConfigError, OdekitError
from odekit.plugins.catalog import BUILT_IN, Catalog, resolve


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan."""

    place: str
    """Index in the chain, such as `0`, or `0.each.1` in a sub-chain."""
    name: str
    what: str
    """A short description."""
    calls: int | None
    """Network calls of all its runs per image or face; None if unknown before the run."""
    per: str = "image"
    """Unit of `calls`: 'image', or 'face' for a stage that runs once per detected face."""
    span: tuple[int, int] | None = None
    """The smallest and the largest number of network calls, where `calls` is None; None if unknown, too."""


@dataclass(frozen=True)
class Plan:
    """Stages, parts and weights of a chain, as `odekit explain` shows them."""

    name: str
    stages: list[PlannedStage]
    parts: list[UsedPart]
    weights: list[dict[str, Any]] = field(default_factory=list)

    @property
    def calls(self) -> int | None:
        """Network calls per image over all stages; None if unknown or dependent on the number of faces."""
        return None if self.calls_per_face != 0 else self._total("image")

    @property
    def calls_per_face(self) -> int | None:
        """Network calls per detected face; 0 without face detection, None if unknown."""
        return self._total("face")

    def call_span(self, per: str) -> tuple[int, int] | None:
        """The smallest and the largest number of network calls per 'image' or 'face'; None if unknown."""
        least = most = 0
        for stage in self.stages:
            if stage.per == per:
                span = stage.span if stage.calls is None else (stage.calls, stage.calls)
                if span is None:
                    return None
                least, most = least + span[0], most + span[1]
        return least, most

    def _total(self, per: str) -> int | None:
        total = 0
        for stage in self.stages:
            if stage.per == per:
                if stage.calls is None:
                    return None
                total += stage.calls
        return total

    @property
    def not_commercial(self) -> list[UsedPart]:
        """Parts whose licence forbids commercial use."""
        return [part for part in self.parts if not part.commercial_use]


def make_plan(spec: ChainSpec, catalog: Catalog) -> Plan:
    """The plan of a resolved chain. Raises ConfigError for options that its grid or schedule does not allow."""
    stages, costs = [], ChainCosts(spec, catalog)
    for item, path in iter_stages(spec.items):
        try:
            cost = item.options.cost(costs) if isinstance(item.options, HasCost) else Cost()
        except ConfigError as error:
            raise ConfigError(f"{format_path(('chain', *path))}: {error}") from error
        place = ".".join(str(key) for depth, key in enumerate(path) if depth % 3 != 1)
        per, times = runs_per_unit(spec, path)
        calls = None if cost.calls is None else times * cost.calls
        span = None if cost.span is None else (times * cost.span[0], times * cost.span[1])
        stages.append(PlannedStage(place, item.name, describe_stage(item), calls, per, span))
    plugin_stages = [item for item, _ in iter_stages(spec.items) if catalog.entry_of(item).dist != BUILT_IN]
    used = [usage_of_part(part, catalog) for part in (*plugin_stages, *all_parts(spec))]
    weights = [describe_weights(name, catalog) for name in required_weights(spec, catalog)]
    return Plan(spec.name, stages, list(dict.fromkeys(used)), weights)


def runs_per_unit(spec: ChainSpec, path: Sequence[Any]) -> tuple[str, int]:
    """How often the stage at a path (index, name, option, index, name, ...) runs: per 'image' or 'face', and times."""
    items, per, times = spec.items, "image", 1
    for depth in range(0, len(path) - 2, 3):
        options, key = items[path[depth]].options, path[depth + 2]
        if isinstance(options, CountsFaces) and options.per_face(key):
            per = "face"
        if isinstance(options, RepeatsChains):
            times *= options.times(key)
        items = getattr(options, key)
    return per, times


class ChainCosts:
    """The chain's schedules and solver costs, for the options of its stages (`odekit.core.abilities.CostContext`)."""

    def __init__(self, spec: ChainSpec, catalog: Catalog) -> None:
        self.spec, self.catalog = spec, catalog

    def schedule(self, prior: str | None) -> NoiseSchedule | None:
        """Noise schedule of the named prior, or of the only one if `prior` is None; None if the prior declares none."""
        part = prior_of(self.spec, prior)
        entry = self.catalog.entry_of(part)
        if entry.spec is None:
            return None
        schedule: NoiseSchedule = resolve(entry.spec, f"prior '{part.name}'")(part.options).schedule
        return schedule

    def calls_per_step(self, inverter: Part) -> float:
        """Network calls per step of an inverter's solver; NaN if it has no solver or an adaptive one."""
        if not isinstance(inverter.options, HasSolver) or not isinstance(inverter.options.solver, Part):
            return math.nan
        solver = inverter.options.solver
        try:
            return float(self.catalog.entry_of(solver).load()(solver.options).nfe_per_step)
        except OdekitError:
            raise
        except Exception as error:
            raise ConfigError(f"the solver '{solver.name}' cannot be created: {error}") from error


def required_weights(spec: ChainSpec, catalog: Catalog) -> list[str]:
    """Names or paths of all weights that a chain requires, without duplicates."""
    return list(dict.fromkeys(name for part in all_parts(spec) for name in weight_names_of(part, catalog)))


def all_parts(spec: ChainSpec) -> list[Part]:
    """All parts of a chain except its stages: used priors, inverters, solvers, enhancers, upsamplers."""
    parts = [
        prior_of(spec, getattr(item.options, key))
        for item, _ in iter_stages(spec.items)
        for key in prior_fields(type(item.options))
    ]

    def visit_part(part: Part) -> None:
        if part.kind != "stage":
            parts.append(part)
        visit_options(part.options)

    def visit_options(options: Options) -> None:
        for key, mark in part_fields(type(options)):
            inner = getattr(options, key)
            for child in inner if mark.kind == "chain" and inner else [inner]:
                if isinstance(child, Part):
                    visit_part(child)
        for key, _ in nested_option_models(type(options)):
            visit_options(getattr(options, key))

    for item in spec.items:
        visit_part(item)
    return parts


def describe_stage(item: Part) -> str:
    """Short description of a stage: `options.describe()`, or its name and options."""
    return item.options.describe() if isinstance(item.options, HasDescription) else item.one_line()
