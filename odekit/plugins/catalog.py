"""The catalogue: parts by kind and name, weights by name, chains by name."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from odekit.core.objects import ObjectPart
from odekit.core.options import Options, Part
from odekit.core.spelling import nearest
from odekit.errors import ConfigError, PluginError
from odekit.plugins.entry import BUILT_IN as BUILT_IN
from odekit.plugins.entry import NOT_DECLARED as NOT_DECLARED
from odekit.plugins.entry import Entry as Entry
from odekit.plugins.entry import Factory as Factory
from odekit.plugins.entry import PackageSource as PackageSource
from odekit.plugins.entry import Weights as Weights
from odekit.plugins.entry import allows_commercial_use, licence_of, object_entry
from odekit.plugins.entry import resolve as resolve

KINDS = (
    "prior", "inverter", "solver", "enhancer", "upsampler", "detector", "mask", "corruption", "metric", "stage",
)  # fmt: skip

OWN_PARTS = {
    ("inverter", "sdedit"): "odekit-sdedit",
    ("upsampler", "codeformer"): "odekit-codeformer",
    ("upsampler", "gfpgan"): "odekit-gfpgan",
    ("upsampler", "realesrgan"): "odekit-realesrgan",
    ("upsampler", "spandrel"): "odekit-realesrgan",
    ("upsampler", "diffbir"): "odekit-diffbir",
    ("upsampler", "e4e"): "odekit-e4e",
    ("detector", "retinaface"): "odekit-facexlib",
    ("mask", "parsenet"): "odekit-facexlib",
    ("corruption", "bfr"): "odekit-basicsr",
    ("metric", "niqe"): "odekit-basicsr",
}
"""Parts of the project's own plugins, with their distributions: an error message names the one to install."""

OWN_CHAINS = {
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
    "photo-large": "odekit-realesrgan",
    "e4e": "odekit-e4e",
    "odedit-e4e": "odekit-e4e",
}
"""Chains of the project's own plugins, with their distributions."""


def _no_hook(**arguments: Any) -> None:
    """The hook of a catalogue without plugins."""


class Catalog:
    """All parts by kind and name, weights by name, chains by name.

    Two distributions may register parts of the same name. The name alone is then ambiguous, and `get` raises an error
    that lists both; `distribution:name` selects one. Names in shipped chains and in default values mean the parts of
    the distribution that wrote them, then the built-in ones, so that a plugin cannot break them.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], list[Entry]] = {}
        self.weights: dict[str, Weights] = {}
        self.chains: dict[str, Path] = {}
        self.chain_owners: dict[Path, str] = {}
        """The distribution that ships a chain file, by its resolved path."""
        self.adapters: dict[str, list[str]] = {}
        """Kind -> functions that make a part of objects of other libraries, as "module:function"."""
        self.stage_done: Callable[..., Any] = _no_hook
        """Calls the hook `odekit_stage_done` of the plugins of this catalogue."""
        self.broken: dict[str, str] = {}
        """Plugins that failed to import or register, with the reason."""

    @contextlib.contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """While a plugin registers: if it raises, everything that it registered is taken back."""
        entries = {key: list(same_name) for key, same_name in self.entries.items()}
        weights, chains, owners = dict(self.weights), dict(self.chains), dict(self.chain_owners)
        try:
            yield
        except BaseException:
            self.entries, self.weights, self.chains, self.chain_owners = entries, weights, chains, owners
            raise

    def add(self, entry: Entry) -> None:
        """Add a part. Raises PluginError if the same distribution registers the name twice."""
        if entry.kind not in KINDS:
            raise PluginError(f"{entry.dist} registers '{entry.name}' as a '{entry.kind}'{nearest(entry.kind, KINDS)}")
        same_name = self.entries.setdefault((entry.kind, entry.name), [])
        if any(other.dist == entry.dist for other in same_name):
            raise PluginError(f"{entry.dist} registers the {entry.kind} '{entry.name}' twice")
        same_name.append(entry)

    def get(self, kind: str, name: str, owners: Sequence[str] = ()) -> Entry:
        """The part of this kind by `name` or `distribution:name`.

        Args:
            kind: of the part.
            name: of the part.
            owners: the distributions whose part a name means that several register, preferred ones first.

        Raises:
            ConfigError: unknown (with the nearest name, or the distribution to install), or registered by several
                distributions of which none is in `owners`.
        """
        dist, _, bare = name.rpartition(":")
        matches = [e for e in self.entries.get((kind, bare), []) if not dist or e.dist == dist]
        preferred = [entry for owner in owners for entry in matches if entry.dist == owner]
        if preferred or len(matches) == 1:
            return (preferred or matches)[0]
        if matches:
            count = "two" if len(matches) == 2 else str(len(matches))
            dists = " and ".join(entry.dist for entry in matches)
            spellings = " or ".join(f"'{entry.dist}:{name}'" for entry in matches)
            raise ConfigError(f"{count} distributions offer the {kind} '{name}': {dists}; write {spellings}")
        if (kind, bare) in OWN_PARTS and not dist:
            raise ConfigError(
                f"the {kind} '{bare}' comes with the plugin {OWN_PARTS[kind, bare]}, which is not installed; "
                f"pip install {OWN_PARTS[kind, bare]}"
            )
        failures = "".join(f"; plugin {plugin} failed: {reason}" for plugin, reason in self.broken.items())
        others = [other for other, part in self.entries if part == bare]
        is_another = f", which is the name of another kind of part ({', '.join(others)})" if others else ""
        raise ConfigError(f"unknown {kind} '{name}'{is_another}{nearest(bare, self.names(kind))}{failures}")

    def entry_of(self, part: Part) -> Entry:
        """The entry of a resolved part. A bare name that several distributions register means the built-in part.

        Raises:
            ConfigError: there is no such part.
        """
        if isinstance(part, ObjectPart):
            return object_entry(part)
        return self.get(part.kind, part.name, (BUILT_IN,))

    def unique_name(self, entry: Entry) -> str:
        """The name by which `entry_of` finds an entry: the bare one, if it is built in or the only one of its name."""
        alone = entry.dist == BUILT_IN or len(self.entries[entry.kind, entry.name]) == 1
        return entry.name if alone else f"{entry.dist}:{entry.name}"

    def names(self, kind: str) -> list[str]:
        """The names of all parts of a kind, sorted."""
        return sorted(name for k, name in self.entries if k == kind)

    def all(self) -> list[Entry]:
        """Every part, by kind and name."""
        order = {kind: i for i, kind in enumerate(KINDS)}
        return sorted((e for es in self.entries.values() for e in es), key=lambda e: (order[e.kind], e.name, e.dist))


class PluginCatalog:
    """The argument of the hook `odekit_parts`: registers parts, weights and chains of one distribution."""

    def __init__(self, catalog: Catalog, dist: str) -> None:
        self.catalog = catalog
        self.dist = dist

    @functools.cached_property
    def licence(self) -> str:
        """The licence in the distribution's metadata; NOT_DECLARED if there is none."""
        return licence_of(self.dist)

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

        `factory` is a callable or "module:attribute". Solvers, enhancers and corruptions are created by
        `factory(options)`; priors, inverters, upsamplers, detectors, masks, metrics and stages by
        `factory(options, tools)`. `more`: `licence`, `commercial_use`, `results`, and a prior's `spec`. Without
        `licence`, it is the one in the distribution's metadata (`license = "MIT"` in pyproject.toml); commercial use is
        then allowed if that is a permissive one. `results` is a number that is raised when the part's results change:
        `--resume` continues runs of other versions with an equal one, and without one those of the same version only.
        """
        if self.dist == "odekit":
            more = {"results": 1} | more
        if "licence" not in more:
            licence = self.licence
            more = {"licence": licence, "commercial_use": allows_commercial_use(licence)} | more
        self.catalog.add(Entry(kind, name, factory, options, summary, self.dist, **more))

    def __getattr__(self, kind: str) -> Callable[..., None]:
        if kind in KINDS:
            return functools.partial(self.part, kind)
        raise AttributeError(f"a catalogue has no '{kind}'{nearest(kind, KINDS)}")

    def adapter(self, kind: str, function: str) -> None:
        """Register a function `object -> part or None` that makes parts of objects of another library.

        It is asked for objects in chains that do not follow the kind's interface themselves.
        """
        self.catalog.adapters.setdefault(kind, []).append(function)

    def weights(self, name: str, *, licence: str, commercial_use: bool, **more: Any) -> None:
        """Register named weights: `urls`, `sha256`, `size`, `filename`, `package`, `notice`, or `path` (shipped)."""
        entry = Weights(name, self.dist, licence, commercial_use, **more)
        if name in self.catalog.weights:
            other = self.catalog.weights[name].dist
            raise PluginError(f"weights '{name}' are registered by {other} and by {self.dist}")
        self.catalog.weights[name] = entry

    def chain(self, name: str, path: Path | str) -> None:
        """Register a chain file under a name."""
        if name in self.catalog.chains:
            raise PluginError(f"{self.dist} registers the chain '{name}', which exists already")
        self.catalog.chains[name] = Path(path)
        self.catalog.chain_owners[Path(path).resolve()] = self.dist
