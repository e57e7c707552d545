"""The JSON written beside each result: enough to make the picture again, and to prove that it is done."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from odekit.core.files import ESCAPED
from odekit.core.version import __version__

SCHEMA = 1
_SHARED = b',\n "chain": '
"""Where, in what `record_text` gives, the part begins that the files of a run share."""


@cache
def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"odekit": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "pillow", "diffusers"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def file_facts(path: Path, digest: str | None = None) -> dict[str, Any]:
    """Name, size, time and SHA-256 of a file; `digest` where it is known."""
    stat = path.stat()
    sha = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": str(path), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha}


def record_path(target: Path) -> Path:
    """Where the record of a result lies: its name with `.json` behind it."""
    return target.with_name(target.name + ".json")


def shared_text(settings: Mapping[str, Any]) -> str:
    """The part of a record that all files of a run have in common, rendered once."""
    return json.dumps(settings, indent=1, ensure_ascii=False, allow_nan=False).partition("{")[2]


def record_text(own: Mapping[str, Any], shared: str) -> bytes:
    """A whole record: what is this file's own, a line each, then what the run's files share."""
    lines = "".join(f" {json.dumps(key)}: {_compact(value)},\n" for key, value in own.items())
    return f"{{\n{lines.rstrip()}{shared}\n".encode(errors=ESCAPED)


_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
