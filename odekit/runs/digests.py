"""Whether what results depend on has changed since they were made (`odekit.chains.dependencies`)."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.dependencies import ABSENT, Dependencies, files_of, path_digest, read_dependencies
from odekit.images.io import IMAGE_SUFFIXES


def dependencies_of(chain: Chain) -> Dependencies:
    """Read the dependencies of a chain as they are now."""
    return read_dependencies(chain.spec, chain.parts)


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
        for folder in dict.fromkeys(files_of(self.chain.spec)):
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
