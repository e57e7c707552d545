"""What a record says of one image: how its result was computed. Files of a run add their paths and digests."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.chains.dependencies import read_dependencies
from odekit.core.image import Image, quantise
from odekit.core.result import Result
from odekit.core.version import __version__

if TYPE_CHECKING:
    from odekit.chains.opened import OpenSession

RECORD_SCHEMA = 1
"""Version of the record format."""
ROWS = 256
"""Rows that are compared at a time: of most changed pictures, the first ones tell."""


def result_entries(result: Result, source: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of one image that was restored, or that failed.

    Args:
        result: of a session.
        source: what is known about the file of the image.
    """
    stages = result.record["stages"]
    entries: dict[str, Any] = {
        "schema": RECORD_SCHEMA,
        "input": dict(source) | {"size": [result.source.width, result.source.height]},
        "changed": result.output is not None and is_changed(result.source, result.output),
        "calls": sum(stage.get("calls", 0) for stage in stages),
        "seconds": round(sum(stage["seconds"] for stage in stages), 4),
        "stages": stages,
    }
    return entries | {key: value for key, value in result.record.items() if key not in ("stages", "slots")}


def complete_records(results: Sequence[Result], session: OpenSession) -> None:
    """Make the records of results whole: what is the same for all of them follows the entries of each."""
    import torch

    execution = session.execution
    depends = read_dependencies(session.spec, session.catalog)
    shared = {
        "chain": session.spec.tree(), "seed": session.seed, "device": execution.device,
        "precision": execution.precision, "slots": session.batch_size, "threads": torch.get_num_threads(),
        "depends": depends.tree(), "versions": versions(depends.distributions), "weights": session.weights(),
    }  # fmt: skip
    for result in results:
        path = result.source.meta.path
        result.record = result_entries(result, {} if path is None else {"path": str(path)}) | shared


def versions(plugins: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Versions of odekit, Python and the libraries that results depend on; "absent" if not installed.

    `plugins`: further distributions, with their versions.
    """
    return _library_versions() | dict(plugins)


@cache
def _library_versions() -> dict[str, str]:
    numbers = {"odekit": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "pillow", "diffusers"):
        try:
            numbers[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            numbers[name] = "absent"
    return numbers


def is_changed(before: Image, after: Image) -> bool:
    """Whether a result differs from its input in size, or in any pixel at the bit depth in which it is written."""
    if after.pixels is before.pixels:
        return False
    if after.pixels.shape != before.pixels.shape:
        return True
    bits, bands = after.meta.bits, range(0, after.height, ROWS)
    for old, new in ((before.pixels[:, top : top + ROWS], after.pixels[:, top : top + ROWS]) for top in bands):
        if not np.array_equal(old, new) and not np.array_equal(quantise(old, bits), quantise(new, bits)):
            return True
    return False
