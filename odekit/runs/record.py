"""The JSON record written beside each result: it documents how the result was computed, and `--resume` relies on it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from odekit.core.files import ENCODING_ERRORS
from odekit.core.image import Image, quantise
from odekit.core.text import visible_json
from odekit.core.version import __version__

RECORD_SCHEMA = 1
"""Version of the record format."""
SHARED_START = b',\n "chain": '
"""Start of the part of a record that is the same for all files of a run; see `record_text`."""


BLOCK = 4096
"""Bytes at the beginning and at the end of an output that a resume compares."""


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


def describe_bytes(data: bytes) -> dict[str, Any]:
    """Size, SHA-256 and block digest of a file that is written."""
    blocks = block_digest(data[:BLOCK], data[-BLOCK:])
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "blocks": blocks}


def block_digest(first: bytes, last: bytes) -> str:
    """Digest of the first and the last `BLOCK` bytes of a file, which may overlap; 16 hexadecimal digits."""
    return hashlib.sha256(first + last).hexdigest()[:16]


def is_changed(before: Image, after: Image) -> bool:
    """Whether a result differs from its input in size, or in any pixel at the bit depth in which it is written."""
    if after.pixels is before.pixels or np.array_equal(before.pixels, after.pixels):
        return False
    if after.pixels.shape != before.pixels.shape:
        return True
    bits = after.meta.bits
    return not np.array_equal(quantise(before.pixels, bits), quantise(after.pixels, bits))


def shared_text(settings: Mapping[str, Any]) -> str:
    """The part of a record that is the same for all files of a run, rendered once."""
    return visible_json(json.dumps(settings, indent=1, ensure_ascii=False, allow_nan=False)).partition("{")[2]


def record_text(entries: Mapping[str, Any], shared: str) -> bytes:
    """A whole record: the entries of one file, one per line, followed by the `shared_text` of the run."""
    lines = visible_json("".join(f" {json.dumps(key)}: {_to_json(value)},\n" for key, value in entries.items()))
    return f"{{\n{lines.rstrip()}{shared}\n".encode(errors=ENCODING_ERRORS)


_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
