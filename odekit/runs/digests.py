"""What results depend on besides chain, seed and machine: weights, files named in the chain, and the parts' code.

`run.json` and the records hold these, so that a resume does not mix results of different ones.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.plan import all_parts, required_weights
from odekit.chains.resolve import iter_stages
from odekit.core.options import file_options
from odekit.core.version import RESULTS, __version__
from odekit.errors import OdekitError
from odekit.images.io import IMAGE_SUFFIXES
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
        return {dist: version for dist, version in sorted(found.items()) if dist != "odekit"}


def dependencies_of(chain: Chain) -> Dependencies:
    """Read the dependencies of a chain as they are now."""
    weights = {name: weights_digest(name, chain.parts) for name in required_weights(chain.spec, chain.parts)}
    named = {*weights, *chain.parts.weights}
    files = {text: digest for text in files_of(chain) if text not in named and (digest := path_digest(text))}
    stages = [part for part, _ in iter_stages(chain.spec.items)]
    parts: dict[str, Mapping[str, Any]] = {"odekit": {"dist": "odekit", "version": __version__, "results": RESULTS}}
    for part in [*stages, *all_parts(chain.spec)]:
        entry = chain.parts.entry_of(part)
        parts[f"{part.kind} {part.name}"] = {
            "dist": entry.dist, "version": version_of(entry.dist), "results": entry.results
        }  # fmt: skip
    return Dependencies(weights, files, parts)


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


def files_of(chain: Chain) -> Iterator[str]:
    """The paths in the options of a chain's parts (`odekit.core.options.file_options`)."""
    stages = [part for part, _ in iter_stages(chain.spec.items)]
    for part in (*chain.spec.priors.values(), *stages, *all_parts(chain.spec)):
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


def file_digest(path: str) -> str:
    """SHA-256 of a file in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _network_digest(folder: Path) -> str:
    """SHA-256 over names and digests of the network's files in a folder and in its subfolders; empty if none is."""
    lines = []
    for parent in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for file in sorted(parent.iterdir()):
            if (file.name in NETWORK_FILES or file.suffix in SUFFIXES) and file.is_file():
                lines.append(f"{file.relative_to(folder)} {file_digest(str(file))}")
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest() if lines else ""


class PictureFiles:
    """Files that belong to one picture each, in folders that a chain names, such as the masks of `mend.mask`.

    Args:
        chain: whose options may name folders with pictures.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    @functools.cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """Stem of a picture -> paths. The folders are listed on first use."""
        found: dict[str, list[str]] = {}
        for folder in dict.fromkeys(files_of(self.chain)):
            try:
                names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
            except (OSError, ValueError):
                continue
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in IMAGE_SUFFIXES:
                    # Masks written by a run are named NAME.scratches.png
                    found.setdefault(stem.removesuffix(".scratches"), []).append(os.path.join(folder, name))
        return found

    def of(self, file: str) -> dict[str, str]:
        """SHA-256 of the files that belong to a picture, by path."""
        if not self.by_stem:
            return {}
        stem = os.path.splitext(os.path.basename(file))[0]
        return {path: path_digest(path) or ABSENT for path in self.by_stem.get(stem, ())}


def difference(stored: Any, current: Dependencies) -> str:
    """What has changed since `stored` (a `Dependencies.tree`, perhaps of an older version) was written; "" if nothing.

    Only what both know is compared: a part that an option added since has no counterpart. Parts with `results` compare
    by that number, others by the version of their distribution.
    """
    stored = stored if isinstance(stored, Mapping) else {}
    weights, files, parts = (_mapping(stored.get(key)) for key in ("weights", "files", "parts"))
    for name, digest in current.weights.items():
        if weights.get(name, digest) != digest:
            return f"the weights '{name}' are another file"
    for path, digest in files.items():
        if path not in current.files:
            return f"{path} is missing"
        if current.files[path] != digest:
            return f"the content of {path} has changed"
    for name, now in current.parts.items():
        was = parts.get(name)
        if isinstance(was, Mapping) and (text := part_difference(name, was, now)):
            return text
    return ""


def part_difference(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How the origin of a part differs in a way that may change results; empty if it does not."""
    if was.get("dist") != now["dist"]:
        return f"the {name} was of {was.get('dist')} and is of {now['dist']}"
    if isinstance(was.get("results"), int) and now["results"] is not None:
        if was["results"] == now["results"]:
            return ""
    elif was.get("version") == now["version"]:
        return ""
    what = "odekit" if name == "odekit" else f"the {name} of {now['dist']}"
    versions = f"version {was.get('version')}, now {now['version']}"
    return f"{what} gives other results ({versions})" if now["results"] is not None else f"{what} is another {versions}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
