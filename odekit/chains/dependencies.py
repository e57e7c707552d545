"""What results depend on besides chain, seed and machine: weights, files named in the chain, and the parts' code.

`run.json` and the records hold these, so that a resume does not mix results of different ones.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.chains.plan import all_parts, required_weights
from odekit.chains.resolve import ChainSpec, iter_stages
from odekit.core.files import file_digest
from odekit.core.objects import SESSION
from odekit.core.options import Part, file_options
from odekit.core.version import RESULTS, __version__
from odekit.errors import OdekitError
from odekit.plugins.catalog import Catalog
from odekit.plugins.weights.hub import PREFIX, hub_folder
from odekit.plugins.weights.lookup import SUFFIXES, digest_of_weights, is_path

ABSENT = "absent"
"""In place of a digest or a version: there is no such file or distribution."""
NETWORK_FILES = {"config.json", "odekit.json", "scheduler_config.json", "model_index.json"}
"""Files of a folder with a network, beside its weights."""


@dataclass(frozen=True)
class Dependencies:
    """What results depend on besides chain, seed and machine."""

    weights: Mapping[str, str] = field(default_factory=dict)
    """Name or path as in the chain -> SHA-256."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path as in the chain -> SHA-256; of a folder, that of its network's files."""
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`kind name` -> distribution, its version, and the part's `results` (`odekit.plugins.catalog.Entry`)."""

    def tree(self) -> dict[str, Any]:
        """As plain data, for run.json and the records."""
        return {
            "weights": dict(self.weights), "files": dict(self.files),
            "parts": {name: dict(part) for name, part in self.parts.items()},
        }  # fmt: skip

    @property
    def distributions(self) -> dict[str, str]:
        """Versions of the distributions that gave a part, except odekit."""
        found = {str(part["dist"]): str(part["version"]) for part in self.parts.values()}
        return {dist: version for dist, version in sorted(found.items()) if dist not in ("odekit", SESSION)}


def read_dependencies(spec: ChainSpec, catalog: Catalog) -> Dependencies:
    """Read the dependencies of a chain as they are now."""
    weights = {name: weights_digest(name, catalog) for name in required_weights(spec, catalog)}
    named = {*weights, *catalog.weights}
    files = {text: digest for text in files_of(spec) if text not in named and (digest := path_digest(text))}
    stages = [part for part, _ in iter_stages(spec.items)]
    parts: dict[str, Mapping[str, Any]] = {"odekit": {"dist": "odekit", "version": __version__, "results": RESULTS}}
    return Dependencies(weights, files, parts | origins([*stages, *all_parts(spec)], catalog))


def origins(used: Iterable[Part], catalog: Catalog) -> dict[str, Mapping[str, Any]]:
    """Distribution, version and `results` of parts, by kind and name."""
    parts: dict[str, Mapping[str, Any]] = {}
    for part in used:
        entry = catalog.entry_of(part)
        version = entry.version or version_of(entry.dist)
        parts[f"{part.kind} {part.name}"] = {"dist": entry.dist, "version": version, "results": entry.results}
    return parts


def version_of(dist: str) -> str:
    """Version of an installed distribution."""
    if dist == "odekit":
        return __version__
    try:
        return importlib.metadata.version(dist)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ABSENT


def weights_digest(name: str, catalog: Catalog) -> str:
    """SHA-256 of weights given by name or path; `ABSENT` where they are missing, which opening the chain reports."""
    if name.startswith(PREFIX):
        try:
            return path_digest(os.fspath(hub_folder(name))) or ABSENT
        except OdekitError:
            return ABSENT
    if is_path(name):
        return path_digest(os.path.expanduser(name)) or ABSENT
    try:
        return digest_of_weights(name, catalog)
    except (OdekitError, OSError):
        return ABSENT


def files_of(spec: ChainSpec) -> Iterator[str]:
    """The paths in the options of a chain's parts (`odekit.core.options.file_options`)."""
    stages = [part for part, _ in iter_stages(spec.items)]
    for part in (*spec.priors.values(), *stages, *all_parts(spec)):
        yield from file_options(part.options)


def path_digest(path: str) -> str:
    """SHA-256 of a file, or of the network in a folder; empty if `path` is no file, and no folder with a network."""
    try:
        if os.path.isfile(path):
            return file_digest(path)
        if os.path.isdir(path):
            return _network_digest(Path(path))
    except (OSError, ValueError):  # ValueError: a text with a null byte
        return ""
    return ""


def _network_digest(folder: Path) -> str:
    """SHA-256 over names and digests of the network's files in a folder and in its subfolders; empty if none is."""
    lines = []
    for parent in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for file in sorted(parent.iterdir()):
            if (file.name in NETWORK_FILES or file.suffix in SUFFIXES) and file.is_file():
                lines.append(f"{file.relative_to(folder)} {file_digest(str(file))}")
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest() if lines else ""
