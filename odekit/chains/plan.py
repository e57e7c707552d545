"""What a chain would do, found out without loading weights: network calls, licences, what cannot work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from odekit.chains.requirements import UsedPart, needed, used_part, weights_of
from odekit.chains.resolve import ChainSpec, prior_of, staged
from odekit.core.abilities import Cost, CountsFaces, HasCost, HasDescription, HasSolver, RepeatsChains
from odekit.core.options import Options, Part, inner_models, nested, prior_names
from odekit.core.schedule import NoiseSchedule
from odekit.errors import ConfigError, OdekitError
from odekit.plugins.catalog import Catalog, resolve


@dataclass(frozen=True)
class PlannedStage:
    """One stage. `calls`: of all its runs for a picture (or a face); None where nobody can know before the run."""

    place: str
    name: str
    what: str
    calls: int | None
    per: str = "image"
    """What the calls are counted for: 'image', or 'face' where a stage runs once for every face found."""


@dataclass(frozen=True)
class Plan:
    """What `odekit explain` shows."""

    name: str
    stages: list[PlannedStage]
    parts: list[UsedPart]
    weights: list[dict[str, Any]] = field(default_factory=list)

    @property
    def calls(self) -> int | None:
        """Network calls per image over all stages; None where one is unknown, or where they depend on the faces."""
        return None if self.calls_per_face != 0 else self._total("image")

    @property
    def calls_per_face(self) -> int | None:
        """Network calls for every face that is found; 0 where none are searched, None where unknown."""
        return self._total("face")

    def _total(self, per: str) -> int | None:
        total = 0
        for stage in self.stages:
            if stage.per == per and stage.calls is None:
                return None
            total += (stage.calls or 0) if stage.per == per else 0
        return total

    @property
    def not_commercial(self) -> list[UsedPart]:
        """Parts whose licence forbids commercial use."""
        return [part for part in self.parts if not part.commercial_use]


def make_plan(spec: ChainSpec, catalog: Catalog) -> Plan:
    """The plan of a resolved chain. Raises ConfigError for what cannot work on its grid."""
    stages, costs = [], ChainCosts(spec, catalog)
    for item, path in staged(spec.items):
        try:
            cost = item.options.cost(costs) if isinstance(item.options, HasCost) else Cost()
        except ConfigError as error:
            raise ConfigError(f"chain{dotted(path)}: {error}") from error
        place = ".".join(str(key) for depth, key in enumerate(path) if depth % 3 != 1)
        per, times = repetition(spec, path)
        calls = None if cost.calls is None else times * cost.calls
        stages.append(PlannedStage(place, item.name, described(item), calls, per))
    used = [used_part(part, catalog) for part in walk(spec)]
    weights = [needed(name, catalog) for name in weights_needed(spec, catalog)]
    return Plan(spec.name, stages, list(dict.fromkeys(used)), weights)


def repetition(spec: ChainSpec, path: Sequence[Any]) -> tuple[str, int]:
    """What the stage at a path (index, name, option, index, name, ...) runs for, 'image' or 'face', and how often."""
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
    """What the options of a stage may ask to tell its cost; see `odekit.core.abilities.CostContext`."""

    def __init__(self, spec: ChainSpec, catalog: Catalog) -> None:
        self.spec, self.catalog = spec, catalog

    def schedule(self, prior: str | None) -> NoiseSchedule | None:
        """The schedule of the chain's prior of this name, or of its only one; None where it does not say."""
        part = prior_of(self.spec, prior)
        entry = self.catalog.get("prior", part.name)
        if entry.spec is None:
            return None
        schedule: NoiseSchedule = resolve(entry.spec, f"prior '{part.name}'")(part.options).schedule
        return schedule

    def calls_per_step(self, inverter: Part) -> float:
        """Network calls per step of an inverter's solver; NaN where it has none or is adaptive."""
        if not isinstance(inverter.options, HasSolver) or not isinstance(inverter.options.solver, Part):
            return math.nan
        solver = inverter.options.solver
        try:
            return float(self.catalog.get("solver", solver.name).load()(solver.options).nfe_per_step)
        except OdekitError:
            raise
        except Exception as error:
            raise ConfigError(f"the solver '{solver.name}' cannot be made: {error}") from error


def dotted(path: Sequence[Any]) -> str:
    """`[0].faces.each[1].restore` for the path of a stage."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def weights_needed(spec: ChainSpec, catalog: Catalog) -> list[str]:
    """Names or paths of all weights that a chain needs."""
    return list(dict.fromkeys(name for part in walk(spec) for name in weights_of(part, catalog)))


def walk(spec: ChainSpec) -> list[Part]:
    """Every part of a chain that is not a stage: used priors, inverters, solvers, enhancers, upsamplers."""
    found = [
        prior_of(spec, getattr(item.options, key))
        for item, _ in staged(spec.items)
        for key in prior_names(type(item.options))
    ]

    def visit(part: Part) -> None:
        if part.kind != "stage":
            found.append(part)
        look(part.options)

    def look(options: Options) -> None:
        for key, mark in nested(type(options)):
            inner = getattr(options, key)
            for child in inner if mark.kind == "chain" and inner else [inner]:
                if isinstance(child, Part):
                    visit(child)
        for key, _ in inner_models(type(options)):
            look(getattr(options, key))

    for item in spec.items:
        visit(item)
    return found


def described(item: Part) -> str:
    """A stage in a few words: its own description, or its name and options."""
    return item.options.describe() if isinstance(item.options, HasDescription) else item.short()
