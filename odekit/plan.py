"""What a chain would do, found out without loading weights: network calls, licences, what cannot work."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from odekit.config import ChainSpec
from odekit.errors import ConfigError, OdekitError
from odekit.grids import Levels
from odekit.options import Part, nested
from odekit.registry import Catalog, resolve


@dataclass(frozen=True)
class PlannedStage:
    """One stage: calls is None where nobody can know before the run."""

    place: str
    name: str
    what: str
    calls: int | None


@dataclass(frozen=True)
class UsedPart:
    """A part that the chain uses, with its licence."""

    kind: str
    name: str
    dist: str
    licence: str
    commercial_use: bool
    weights: str | None = None


@dataclass(frozen=True)
class Plan:
    """What `odekit explain` shows."""

    name: str
    stages: list[PlannedStage]
    parts: list[UsedPart]
    weights: list[dict[str, Any]] = field(default_factory=list)

    @property
    def calls(self) -> int | None:
        """Network calls per image over all stages; None where one is unknown."""
        total = 0
        for stage in self.stages:
            if stage.calls is None:
                return None
            total += stage.calls
        return total

    @property
    def not_commercial(self) -> list[UsedPart]:
        """Parts whose licence forbids commercial use."""
        return [part for part in self.parts if not part.commercial_use]


def make_plan(spec: ChainSpec, catalog: Catalog) -> Plan:
    """The plan of a resolved chain. Raises ConfigError for what cannot work on its grid."""
    stages = []
    for i, item in enumerate(spec.items):
        calls: int | None = 0
        if item.name == "restore":
            try:
                calls = restore_calls(item, spec, catalog)
            except ConfigError as error:
                raise ConfigError(f"chain[{i}].restore: {error}") from error
        stages.append(PlannedStage(str(i), item.name, summary(item), calls))
    used = [used_part(part, catalog) for part in walk(spec)]
    stores = [catalog.stores[part.weights] for part in used if part.weights in catalog.stores]
    weights = [
        {"name": s.name, "licence": s.licence, "commercial_use": s.commercial_use, "sha256": s.sha256} for s in stores
    ]
    return Plan(spec.name, stages, list(dict.fromkeys(used)), weights)


def prior_of(item: Part, spec: ChainSpec) -> Part:
    """The prior that a restore stage uses."""
    wanted = getattr(item.options, "prior", None)
    return spec.priors[wanted] if wanted else next(iter(spec.priors.values()))


def restore_calls(item: Part, spec: ChainSpec, catalog: Catalog) -> int | None:
    """Network calls per image of a restore stage; None where a plugin does not say."""
    options: Any = item.options
    prior = prior_of(item, spec)
    entry = catalog.get("prior", prior.name)
    if entry.spec is None or not hasattr(options.inverter.options, "levels"):
        return None
    schedule = resolve(entry.spec, f"prior '{prior.name}'")(prior.options).schedule
    levels = options.inverter.options.levels(schedule)
    check = getattr(options.enhancer.options, "check", None)
    if check is not None:
        check(levels)
    nfe = solver_nfe(options.inverter, catalog)
    up = getattr(options.inverter.options, "calls", lambda nfe: math.nan)(nfe)
    here = getattr(options.enhancer.options, "calls", lambda levels: math.nan)(levels)
    total = options.repeats * (up + here + edit_calls(options, levels))
    return None if math.isnan(total) else round(total)


def edit_calls(options: Any, levels: Levels) -> float:
    """Network calls by which a solver follows the enhancer's edits; NaN where the enhancer does not say its levels."""
    count = getattr(options.inverter.options, "edit_calls", None)
    acts_on = getattr(options.enhancer.options, "acts_on", None)
    if count is None or acts_on is None:
        return 0 if count is None or count(frozenset({0})) == 0 else math.nan
    return float(count(acts_on(levels)))


def solver_nfe(inverter: Part, catalog: Catalog) -> float:
    """Network calls per step of the inverter's solver; NaN where it has none or is adaptive."""
    solver = getattr(inverter.options, "solver", None)
    if not isinstance(solver, Part):
        return math.nan
    try:
        return float(catalog.get("solver", solver.name).load()(solver.options).nfe_per_step)
    except OdekitError:
        raise
    except Exception as error:
        raise ConfigError(f"the solver '{solver.name}' cannot be made: {error}") from error


def walk(spec: ChainSpec) -> list[Part]:
    """Every part of a chain that is not a stage: used priors, inverters, solvers, enhancers, upsamplers."""
    found = [prior_of(item, spec) for item in spec.items if item.name == "restore"]

    def visit(part: Part) -> None:
        if part.kind != "stage":
            found.append(part)
        for key, mark in nested(type(part.options)):
            inner = getattr(part.options, key)
            for child in inner if mark.kind == "chain" and inner else [inner]:
                if isinstance(child, Part):
                    visit(child)

    for item in spec.items:
        visit(item)
    return found


def used_part(part: Part, catalog: Catalog) -> UsedPart:
    """A part with the licence its plugin states."""
    entry = catalog.get(part.kind, part.name)
    weights = getattr(part.options, "weights", None) or (part.name if part.name in catalog.stores else None)
    commercial = entry.commercial_use and (weights not in catalog.stores or catalog.stores[weights].commercial_use)
    return UsedPart(part.kind, part.name, entry.dist, entry.licence, commercial, weights)


def summary(item: Part) -> str:
    """A stage in a few words: its parts and the options that matter."""
    if item.name == "restore":
        inverter, enhancer = item.options.inverter, item.options.enhancer  # type: ignore[attr-defined]
        return f"{short(inverter)}, {short(enhancer)}"
    inline = getattr(item.options, "inline", None)
    return short(getattr(item.options, inline)) if inline else short(item)


def short(part: Part) -> str:
    """`name(option=value, ...)`."""
    inner = {k: v["use"] if isinstance(v, dict) and "use" in v else v for k, v in part.tree().items() if k != "use"}
    shown = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in inner.items() if v is not None)
    return f"{part.name}({shown})" if shown else part.name
