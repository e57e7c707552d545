"""The JSON written beside each result: enough to make the picture again, and to prove that it is done."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from odekit.version import __version__

SCHEMA = 1
ESCAPED = "backslashreplace"
"""How names that are no Unicode are written: as JSON escapes lone surrogates, so that reading gives the name back."""
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


def write_json(path: Path, data: Any) -> None:
    """Write JSON to a temporary name, then rename, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors=ESCAPED) as file:
            json.dump(data, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path | str) -> Any:
    """JSON of a file, or None where it is absent or damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError):
        return None


def proves_done(record: Any, settings: Mapping[str, Any], source: str, folder: str) -> bool:
    """A record proves a file done when settings, input and output are as recorded."""
    try:
        if any(record[key] != value for key, value in settings.items()):
            return False
    except (KeyError, TypeError):
        return False
    return as_recorded(record, source, folder)


def as_recorded(record: Any, source: str, folder: str) -> bool:
    """Input and output are as recorded.

    Sizes and the input's time are compared; where only the time differs, the input's SHA-256. The output lies in
    `folder` under the record's name for it: a file whose name lies about its format gets a true ending.
    """
    try:
        if record["schema"] != SCHEMA:
            return False
        given, made = record["input"], record["output"]
        stat = os.stat(source)
        if stat.st_size != given["bytes"]:
            return False
        if os.stat(os.path.join(folder, os.path.basename(made["path"]))).st_size != made["bytes"]:
            return False
        return bool(stat.st_mtime_ns == given["mtime_ns"] or file_facts(Path(source))["sha256"] == given["sha256"])
    except (OSError, KeyError, TypeError, ValueError):
        return False


class Proofs:
    """Asks the records of a folder what is done. What the files of a run share is read and judged once."""

    def __init__(self, agrees: Callable[[Mapping[str, Any]], bool]) -> None:
        self.agrees = agrees
        """Whether a record's settings are those of this run."""
        self.agreed: set[bytes] = set()
        """Shared parts that are."""

    def done(self, target: str, source: str) -> bool:
        """Whether the record of `target` proves that it was made of `source` with these settings."""
        try:
            file = os.open(f"{target}.json", os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.read(file, 1 << 16)
                while more := os.read(file, 1 << 20):
                    data += more
            finally:
                os.close(file)
        except OSError:
            return False
        own, _, shared = data.partition(_SHARED)
        record = parsed(own + b"}") if shared in self.agreed else None
        if not isinstance(record, dict):  # a part of the run's that was not met before, or a record that others wrote
            record = parsed(data)
            if not isinstance(record, dict) or not self.agrees(record):
                return False
            head = parsed(own + b"}")
            if shared and isinstance(head, dict) and all(record[key] == value for key, value in head.items()):
                self.agreed.add(shared)
        return as_recorded(record, source, os.path.dirname(target))


def parsed(data: bytes) -> Any:
    """JSON, or None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
