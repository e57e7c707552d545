"""Parts that were given as Python objects instead of by their names: what they must have, and what records say."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

from odekit.core import interfaces
from odekit.core.abilities import Configured
from odekit.core.options import Options, Part, to_plain
from odekit.core.version import __version__

INTERFACES: Mapping[str, type] = {
    "prior": interfaces.Prior,
    "inverter": interfaces.Inverter,
    "solver": interfaces.Solver,
    "enhancer": interfaces.Enhancer,
    "upsampler": interfaces.Upsampler,
    "detector": interfaces.FaceDetector,
    "mask": interfaces.FaceMask,
    "corruption": interfaces.Corruption,
    "metric": interfaces.Metric,
    "stage": interfaces.Stage,
}
"""The Protocol of each kind of part."""
OBJECT = "object"
"""The key of a part in plain data that was given as an object: a mapping with it cannot be read back."""
SESSION = "session"
"""The distribution of classes that belong to none: written in a notebook, or in a script."""


class ObjectOptions(Options):
    """The options of an object that has none of its own."""


@dataclass(frozen=True)
class ObjectPart(Part):
    """A part given as an object. It equals another one if their facts are equal."""

    value: Any = field(compare=False, repr=False)
    facts: Mapping[str, Any]
    """Class, module, distribution and version, and the object's options or plain attributes."""

    def tree(self) -> dict[str, Any]:
        """The facts as plain data; a chain with them cannot be read back."""
        tree = {OBJECT: dict(self.facts)}
        return {self.name: tree} if self.kind == "stage" else tree

    def one_line(self) -> str:
        """The class, with the options of the object if it has some."""
        named = Part(self.kind, self.name, self.options).one_line()
        return f"{named} (object)"


def cannot_be_written(facts: Mapping[str, Any]) -> str:
    """Why a chain file cannot hold a part that was given as an object, and what to do."""
    return (
        f"an object of the class {facts['class']} ({facts.get('module')}) was given in Python, and a chain file cannot "
        "hold it; name the class with odekit.register, or put it into a plugin (odekit new-plugin)"
    )


def missing_members(kind: str, value: object) -> list[str]:
    """The attributes and methods of the kind's interface that an object lacks, in the order of the interface."""
    interface = INTERFACES[kind]
    members = [name for name in vars(interface) if not name.startswith("_") or name == "__call__"]
    members += [name for name in interface.__annotations__ if name not in members]
    have = set(dir(value))
    if "__call__" in members:
        return [] if callable(value) else ["__call__"]
    return [name for name in members if name not in have]


def object_part(kind: str, value: object, given: object = None) -> ObjectPart:
    """A part around an object that has every member of the kind's interface; `given`: what it was made of."""
    if given is not None:
        return ObjectPart(kind, class_of(given).__qualname__, ObjectOptions(), value, origin(class_of(given)))
    own = value.options if isinstance(value, Configured) else None
    options = own if isinstance(own, Options) else ObjectOptions()
    return ObjectPart(kind, class_of(value).__qualname__, options, value, describe(value, options))


def class_of(value: object) -> Any:
    """The class of an object; a function itself."""
    return value if isinstance(value, FunctionType) else type(value)


def code_of(factory: Any) -> Any:
    """The class or function behind a factory: what a partial call calls, the class of an object with `__call__`."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory if "__qualname__" in dir(factory) or isinstance(factory, type) else type(factory)


def describe(value: object, options: Options) -> dict[str, Any]:
    """What identifies an object in records and comparisons."""
    facts = origin(class_of(value))
    if not isinstance(options, ObjectOptions):
        facts["options"] = {key: to_plain(getattr(options, key)) for key in type(options).model_fields}
    else:
        plain = {key: item for key, item in vars(value).items() if _is_plain(item)} if "__dict__" in dir(value) else {}
        facts |= {"attributes": plain} if plain else {}
    return facts


def origin(kind: Any) -> dict[str, Any]:
    """Class (or function), module, distribution and version; of code without distribution, the digest of its source."""
    kind = code_of(kind)
    module = kind.__module__
    dist = distribution_of(module)
    facts: dict[str, Any] = {"class": kind.__qualname__, "module": module, "distribution": dist}
    return facts | {"version": version_of_code(kind, dist)}


def version_of_code(kind: Any, dist: str) -> str:
    """Version of the distribution of a class; of the session's own classes `source ` and the start of a SHA-256."""
    if dist != SESSION:
        return __version__ if dist == "odekit" else importlib.metadata.version(dist)
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # written in an interpreter that keeps no source
        return "source unknown"
    return f"source {hashlib.sha256(source.encode()).hexdigest()[:12]}"


def distribution_of(module: str) -> str:
    """The distribution that installed a module; `session` for a notebook, a script, or a file beside them."""
    top = module.partition(".")[0]
    if top in _plugins():
        return _plugins()[top]
    file: str | None = vars(sys.modules.get(module, sys)).get("__file__")
    if file is None:
        return SESSION
    for dist in _distributions().get(top, ()):
        # Names such as `tests` belong to several distributions: the file must be where this one is installed.
        if Path(file).is_relative_to(str(importlib.metadata.distribution(dist).locate_file(top))):
            return dist
    return SESSION


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _plugins() -> Mapping[str, str]:
    """Top-level module -> distribution, of odekit and its plugins: of an editable install only entry points tell."""
    points = importlib.metadata.entry_points(group="odekit")
    return {"odekit": "odekit"} | {p.module.partition(".")[0]: p.dist.name for p in points if p.dist is not None}


def _is_plain(value: object) -> bool:
    return isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))
