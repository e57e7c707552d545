"""What a chain would do, found out without loading weights: network calls, licences, what cannot work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from odekit.config import ChainSpec, staged
from odekit.errors import ConfigError, OdekitError
from odekit.grids import Levels
from odekit.needs import UsedPart, needed, used_part, weights_of
from odekit.options import Options, Part, inner_models, nested
from odekit.registry import Catalog, resolve
from odekit.stages import enhancer_of


@dataclass(frozen=True)
class PlannedStage:
    """One stage: calls is None where nobody can know before the run."""

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
    stages = []
    for item, path in staged(spec.items):
        calls: int | None = 0
        if item.name == "restore":
            try:
                calls = restore_calls(item, spec, catalog)
            except ConfigError as error:
                raise ConfigError(f"chain{dotted(path)}: {error}") from error
        place = ".".join(str(key) for depth, key in enumerate(path) if depth % 3 != 1)
        searched = "each" in path and getattr(spec.items[path[0]].options, "align", "none") != "none"
        stages.append(PlannedStage(place, item.name, summary(item), calls, "face" if searched else "image"))
    used = [used_part(part, catalog) for part in walk(spec)]
    weights = [needed(name, catalog) for name in weights_needed(spec, catalog)]
    return Plan(spec.name, stages, list(dict.fromkeys(used)), weights)


def dotted(path: Sequence[Any]) -> str:
    """`[0].faces.each[1].restore` for the path of a stage."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def weights_needed(spec: ChainSpec, catalog: Catalog) -> list[str]:
    """Names or paths of all weights that a chain needs."""
    return list(dict.fromkeys(name for part in walk(spec) for name in weights_of(part, catalog)))


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
    check = getattr(enhancer_of(options).options, "check", None)
    if check is not None:
        check(levels)
    nfe = solver_nfe(options.inverter, catalog)
    up = getattr(options.inverter.options, "calls", lambda nfe: math.nan)(nfe)
    here = getattr(options.enhancer.options, "calls", lambda levels: math.nan)(levels)
    total = options.samples * options.repeats * (up + here + edit_calls(options, levels))
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
    found = [prior_of(item, spec) for item, _ in staged(spec.items) if item.name == "restore"]

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


def summary(item: Part) -> str:
    """A stage in a few words: its parts and the options that matter."""
    options: Any = item.options
    if item.name == "restore":
        undone = {"blur": "blur undone, ", "colour": "colours undone, "}
        first = "".join(said for name, said in undone.items() if getattr(options, name) == "undo")
        return f"{first}{short(options.inverter)}, {short(options.enhancer)}"
    if item.name == "faces":
        found = short(options.detect) if options.select.boxes is None else "boxes given"
        return f"{found}; select {options.select.which}; paste {short(options.paste.mask)}"
    inline = getattr(item.options, "inline", None)
    if not inline:
        return short(item)
    part = getattr(item.options, inline)
    own = part.options.calls() if part.kind == "upsampler" and hasattr(part.options, "calls") else 0
    return short(part) + (f"; {own} calls of its own network" if own else "")


def short(part: Part) -> str:
    """`name(option=value, ...)`."""
    inner = {k: v["use"] if isinstance(v, dict) and "use" in v else v for k, v in part.tree().items() if k != "use"}
    shown = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in inner.items() if v is not None)
    return f"{part.name}({shown})" if shown else part.name
