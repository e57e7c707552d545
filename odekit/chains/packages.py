"""The Python packages that a chain needs, checked before a run without importing them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, requires

from odekit.chains.resolve import ChainSpec, prior_of
from odekit.core.abilities import NeedsPackages, SkipsParts
from odekit.core.options import Options, Part, nested_option_models, part_fields, prior_fields
from odekit.errors import PluginError
from odekit.plugins.catalog import BUILT_IN, Catalog

MODULES = {"pillow": "PIL", "pypng": "png"}
"""Modules of distributions whose names differ, for builds under another name (such as pillow-simd)."""


def require_packages(spec: ChainSpec, catalog: Catalog) -> None:
    """Check that the packages of all parts of a chain are installed.

    Raises:
        PluginError: names all missing packages with the parts that need them, and the commands that install them.
    """
    missing: dict[str, str] = {}
    commands: dict[str, None] = {}
    for part in used_parts(spec):
        for package in part.options.packages() if isinstance(part.options, NeedsPackages) else ():
            if importlib.util.find_spec(package.module) is None:
                missing.setdefault(package.module, f"the {part.kind} '{part.name}'")
                commands[package.install] = None
    for dist in dict.fromkeys([BUILT_IN, *(catalog.entry_of(part).dist for part in used_parts(spec))]):
        for name in missing_dependencies(dist):
            missing.setdefault(name, dist)
            commands[f"pip install {dist}"] = None
    if missing:
        needs = ", ".join(f"{name} (for {owner})" for name, owner in missing.items())
        raise PluginError(f"the chain needs packages that are not installed: {needs}; {' && '.join(commands)}")


def missing_dependencies(dist: str) -> list[str]:
    """The declared dependencies of a distribution that are not installed; none if its metadata is not installed.

    Dependencies of extras and of some platforms only are not considered, and versions are not compared.
    """
    try:
        declared = requires(dist) or []
    except PackageNotFoundError:  # it runs from its source
        return []
    names = [re.split(r"[\s\[<>=!~(]", line, maxsplit=1)[0] for line in declared if ";" not in line]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        module = MODULES.get(name.lower(), name.lower().replace("-", "_").split(".")[0])
        return importlib.util.find_spec(module) is not None
    return True


def used_parts(spec: ChainSpec) -> Iterator[Part]:
    """The stages of a chain and all parts that they create, those of sub-chains included."""
    for item in spec.items:
        yield from _parts(item, spec)


def _parts(part: Part, spec: ChainSpec) -> Iterator[Part]:
    yield part
    yield from _parts_of(part.options, spec)


def _parts_of(options: Options, spec: ChainSpec) -> Iterator[Part]:
    unused = options.unused_parts() if isinstance(options, SkipsParts) else ()
    yield from (prior_of(spec, getattr(options, key)) for key in prior_fields(type(options)))
    for key, mark in part_fields(type(options)):
        value = getattr(options, key)
        for child in (value or ()) if mark.kind == "chain" else [value]:
            if isinstance(child, Part) and key not in unused:
                yield from _parts(child, spec)
    for key, _ in nested_option_models(type(options)):
        inner = getattr(options, key)
        if isinstance(inner, Options):
            yield from _parts_of(inner, spec)
