"""What a catalogue holds: parts, named weights, and claims on golden files."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odekit.errors import PluginError
from odekit.options import Options

Factory = Callable[..., Any]


@dataclass(frozen=True)
class Entry:
    """One registered part."""

    kind: str
    name: str
    factory: Factory | str
    """What makes the part: a callable, or "module:attribute", imported when first needed."""
    options: type[Options]
    summary: str
    dist: str
    """Distribution that registered it."""
    licence: str = "MIT"
    commercial_use: bool = True
    spec: Callable[[Any], Any] | str | None = None
    """Priors: options -> PriorSpec, without loading weights or torch."""

    def load(self) -> Factory:
        """The factory itself."""
        factory: Factory = resolve(self.factory, f"{self.kind} '{self.name}' of {self.dist}")
        return factory


@dataclass(frozen=True)
class Weights:
    """Named weights: where they come from and what may be done with them."""

    name: str
    dist: str
    licence: str
    commercial_use: bool
    sha256: str | None = None
    """Of the published file; None where nobody publishes it: then the first file that comes in is remembered."""
    size: int | None = None
    """Of the published file in bytes."""
    urls: Sequence[str] = ()
    """Where the file can be had, tried in this order."""
    filename: str | None = None
    """Its name in the store; the last part of the first URL where none is given."""
    path: Path | None = None
    """A file or folder that ships with the distribution."""
    summary: str = ""
    notice: str = ""
    """What else must be known before a download: notices of others in the file, how it may be used."""

    def __post_init__(self) -> None:
        """Raise PluginError for names that are no plain file names."""
        for name in (self.name, self.file):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
                raise PluginError(f"{self.dist} registers weights as '{name}': letters, digits and . _ + - only")

    @property
    def file(self) -> str:
        """The file's name in the store."""
        if self.filename:
            return self.filename
        last = self.urls[0].split("?")[0].rstrip("/").rpartition("/")[2] if self.urls else ""
        return last or f"{self.name}.safetensors"


@dataclass(frozen=True)
class Claim:
    """A part's claim on golden files: it says what it computes for the arrays they store."""

    stem: str
    compute: Callable[..., Mapping[str, Any]] | str
    """Golden -> {array name: computed array}, or "module:attribute"."""
    dist: str
    tolerance: float | Mapping[str, float] = 1e-4
    """Largest relative error; by name pattern (`*_i49`), the first that fits, where arrays differ."""
    skip: Sequence[str] = ()
    """Names or patterns of stored arrays that are not to be reproduced."""


def resolve(target: Any, owner: str) -> Any:
    """A callable as it is; "module:attribute" imported. Raises PluginError where that fails."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{owner} cannot be loaded from '{target}': {error}") from error
