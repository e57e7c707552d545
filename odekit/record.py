"""The JSON written beside each result: enough to make the picture again, and to prove that it is done."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from odekit.version import __version__

SCHEMA = 1


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


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size, time and SHA-256 of a file."""
    stat = path.stat()
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": str(path), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha}


def write_json(path: Path, data: Any) -> None:
    """Write JSON to a temporary name, then rename, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """JSON of a file, or None where it is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def proves_done(record: Any, settings: dict[str, Any], source: Path, target: Path) -> bool:
    """A record proves a file done when settings, input and output are as recorded.

    Sizes and the input's time are compared; where only the time differs, the input's SHA-256.
    """
    try:
        same = record["schema"] == SCHEMA and {key: record[key] for key in settings} == settings
        stat = source.stat()
        given, made = record["input"], record["output"]
        target = target.with_name(Path(made["path"]).name)  # a file whose name lies about its format gets a true ending
        same = same and stat.st_size == given["bytes"] and target.stat().st_size == made["bytes"]
        if not same:
            return False
        return bool(stat.st_mtime_ns == given["mtime_ns"] or file_facts(source)["sha256"] == given["sha256"])
    except (OSError, KeyError, TypeError):
        return False
