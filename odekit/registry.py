"""The catalogue of parts, and the pluggy manager that fills it. Built-in parts come in by the same hook as others."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pluggy

from odekit import hookspecs
from odekit.entries import Claim as Claim
from odekit.entries import Entry as Entry
from odekit.entries import Factory
from odekit.entries import Weights as Weights
from odekit.entries import resolve as resolve
from odekit.errors import ConfigError, PluginError
from odekit.options import Options

KINDS = (
    "prior", "inverter", "solver", "enhancer", "upsampler", "detector", "mask", "corruption", "metric", "stage",
)  # fmt: skip

OURS = {
    ("inverter", "sdedit"): "odekit-sdedit",
    ("upsampler", "codeformer"): "odekit-codeformer",
    ("upsampler", "gfpgan"): "odekit-gfpgan",
    ("upsampler", "realesrgan"): "odekit-realesrgan",
    ("upsampler", "spandrel"): "odekit-realesrgan",
    ("upsampler", "diffbir"): "odekit-diffbir",
    ("detector", "retinaface"): "odekit-facexlib",
    ("mask", "parsenet"): "odekit-facexlib",
    ("corruption", "bfr"): "odekit-basicsr",
    ("metric", "niqe"): "odekit-basicsr",
}
"""Parts of the project's own plugins, so that a chain that needs one can say which distribution to install."""

OUR_CHAINS = {
    "sdedit": "odekit-sdedit",
    "codeformer": "odekit-codeformer",
    "odedit-codeformer": "odekit-codeformer",
    "photo-codeformer": "odekit-codeformer",
    "photo-gfpgan": "odekit-gfpgan",
    "photo-diffbir": "odekit-diffbir",
    "diffbir": "odekit-diffbir",
    "odedit-diffbir": "odekit-diffbir",
    "gfpgan": "odekit-gfpgan",
    "odedit-gfpgan": "odekit-gfpgan",
    "realesrgan": "odekit-realesrgan",
}
"""Likewise the chains of the project's own plugins."""


def nearest(name: str, names: Iterable[str]) -> str:
    """What to add to an error: `; did you mean 'x'?` for the closest name, or the names where none is close."""
    known = sorted(names)
    return meant(name, known) or (f"; known: {', '.join(known)}" if known else "")


def meant(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest name, or nothing where none is close."""
    close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


class Catalog:
    """All parts by kind and name, weights by name, chains by name.

    Two parts with one name are both kept: the bare name is then refused with both distributions named, and
    `distribution:name` resolves it.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], list[Entry]] = {}
        self.stores: dict[str, Weights] = {}
        self.chains: dict[str, Path] = {}
        self.goldens: dict[str, Claim] = {}
        """Claims on golden files, by stem."""
        self.broken: dict[str, str] = {}
        """Plugins that failed to import or register, with the reason."""

    def add(self, entry: Entry) -> None:
        """Take in a part. Raises PluginError where the same distribution registers the name twice."""
        if entry.kind not in KINDS:
            raise PluginError(f"{entry.dist} registers '{entry.name}' as a '{entry.kind}'{nearest(entry.kind, KINDS)}")
        rivals = self.entries.setdefault((entry.kind, entry.name), [])
        if any(rival.dist == entry.dist for rival in rivals):
            raise PluginError(f"{entry.dist} registers the {entry.kind} '{entry.name}' twice")
        rivals.append(entry)

    def get(self, kind: str, name: str) -> Entry:
        """The part of this kind by `name` or `distribution:name`.

        Raises:
            ConfigError: unknown (with the nearest name, or the distribution to install), or claimed twice.
        """
        dist, _, bare = name.rpartition(":")
        found = [e for e in self.entries.get((kind, bare), []) if not dist or e.dist == dist]
        if len(found) == 1:
            return found[0]
        if found:
            owners = " and ".join(e.dist for e in found)
            raise ConfigError(
                f"two plugins offer the {kind} '{name}': {owners}; write '{found[-1].dist}:{name}' to choose one"
            )
        if (kind, bare) in OURS and not dist:
            raise ConfigError(
                f"the {kind} '{bare}' comes with the plugin {OURS[kind, bare]}, which is not installed; "
                f"pip install {OURS[kind, bare]}"
            )
        failures = "".join(f"; plugin {plugin} failed: {reason}" for plugin, reason in self.broken.items())
        raise ConfigError(f"unknown {kind} '{name}'{nearest(bare, self.names(kind))}{failures}")

    def names(self, kind: str) -> list[str]:
        """The names of all parts of a kind, sorted."""
        return sorted(name for k, name in self.entries if k == kind)

    def all(self) -> list[Entry]:
        """Every part, by kind and name."""
        order = {kind: i for i, kind in enumerate(KINDS)}
        return sorted((e for es in self.entries.values() for e in es), key=lambda e: (order[e.kind], e.name, e.dist))


class PluginCatalog:
    """A catalogue as one distribution sees it: what plugins are handed in `odekit_parts`."""

    def __init__(self, catalog: Catalog, dist: str) -> None:
        self.catalog = catalog
        self.dist = dist

    def part(
        self,
        kind: str,
        name: str,
        factory: Factory | str,
        options: type[Options] = Options,
        summary: str = "",
        **more: Any,
    ) -> None:
        """Register a part of any kind; the methods named after the kinds are shorthands.

        `factory` is a callable or "module:attribute". Solvers, enhancers and corruptions are made by
        `factory(options)`; priors, inverters, upsamplers, detectors, metrics and stages by `factory(options, tools)`.
        """
        self.catalog.add(Entry(kind, name, factory, options, summary, self.dist, **more))

    def __getattr__(self, kind: str) -> Callable[..., None]:
        if kind in KINDS:
            return functools.partial(self.part, kind)
        raise AttributeError(f"a catalogue has no '{kind}'{nearest(kind, KINDS)}")

    def weights(self, name: str, *, licence: str, commercial_use: bool, **more: Any) -> None:
        """Register named weights: `urls`, `sha256`, `size`, `filename`, `notice`, or the `path` of what ships."""
        store = Weights(name, self.dist, licence, commercial_use, **more)
        if name in self.catalog.stores:
            other = self.catalog.stores[name].dist
            raise PluginError(f"weights '{name}' are registered by {other} and by {self.dist}")
        self.catalog.stores[name] = store

    def golden(self, stem: str, compute: Callable[..., Mapping[str, Any]] | str, **more: Any) -> None:
        """Claim the golden files `stem.A.npz`, `stem.B.npz`, `stem.npz` or `stem.json`, for `odekit bench parity`.

        `compute` takes a `Golden` and returns an array for every stored one that is to be compared. `tolerance` is
        one number or {name pattern: number}; `skip` names arrays or patterns that are not to be reproduced.
        """
        if stem in self.catalog.goldens:
            other = self.catalog.goldens[stem].dist
            raise PluginError(f"the golden '{stem}' is claimed by {other} and by {self.dist}")
        self.catalog.goldens[stem] = Claim(stem, compute, self.dist, **more)

    def chain(self, name: str, path: Path | str) -> None:
        """Register a ready chain, run by name."""
        if name in self.catalog.chains:
            raise PluginError(f"{self.dist} registers the chain '{name}', which exists already")
        self.catalog.chains[name] = Path(path)


def discover() -> list[tuple[str, Any]]:
    """(distribution, entry point) of installed plugins that ODEKIT_PLUGINS ("none" or "a,b") does not leave out."""
    wanted = os.environ.get("ODEKIT_PLUGINS")
    names = None if wanted is None else {w.strip() for w in wanted.split(",") if w.strip() not in ("", "none")}
    found = []
    for point in importlib.metadata.entry_points(group="odekit"):
        dist = point.dist.name if point.dist is not None else point.name
        if names is None or dist in names or point.name in names:
            found.append((dist, point))
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def build(plugins: Iterable[tuple[str, Any]]) -> tuple[Catalog, pluggy.PluginManager]:
    """A catalogue and a manager from (distribution, module) pairs; entry points are loaded, failures noted by name."""
    catalog, manager = Catalog(), pluggy.PluginManager("odekit")
    manager.add_hookspecs(hookspecs)
    for dist, plugin in plugins:
        try:
            module = plugin.load() if hasattr(plugin, "load") else plugin
            manager.register(module, name=f"{dist}:{getattr(plugin, 'name', dist)}")
            register = getattr(module, "odekit_parts", None)
            if register is not None:
                register(catalog=PluginCatalog(catalog, dist))
        except Exception as error:  # a stranger's import may raise anything; it must not break the others
            if dist == "odekit":
                raise
            catalog.broken[dist] = f"{type(error).__name__}: {error}".splitlines()[0]
    return catalog, manager


@functools.cache
def loaded() -> tuple[Catalog, pluggy.PluginManager]:
    """The process's catalogue and manager: built-in parts first, then installed plugins."""
    builtin = importlib.import_module("odekit.builtin")
    return build([("odekit", builtin), *discover()])


def catalog() -> Catalog:
    """The process's catalogue."""
    return loaded()[0]
