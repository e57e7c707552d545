"""Files on disk: atomic writes, JSON, digests, and where the package's own assets are."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import uuid
from pathlib import Path
from typing import Any

from odekit.errors import WeightsError

ASSETS = Path(__file__).parents[1] / "assets"
"""Weights that ship with the package."""
ESCAPED = "backslashreplace"
"""How names that are not valid Unicode are written: JSON escapes lone surrogates, so that reading gives the name back."""
_SESSION, _NUMBERS = uuid.uuid4().hex[:12], itertools.count()
"""Make names of temporary files that no other process, thread or machine makes."""


def write_atomic(data: bytes, path: Path | str, scratch: Path | None = None) -> None:
    """Write bytes under a temporary name (in `scratch`, or beside the file) and rename it. Raises OSError.

    Nothing is left behind but by a kill in between, and then in `scratch`, which the next run clears.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(scratch or folder, f".odekit-{_SESSION}-{os.getpid()}-{next(_NUMBERS)}.tmp")
    try:
        if scratch is None:
            os.makedirs(folder or ".", exist_ok=True)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)
        try:
            os.replace(temporary, path)
        except FileNotFoundError:  # the first file of its folder
            os.makedirs(folder, exist_ok=True)
            os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if scratch is None or getattr(error, "errno", None) != errno.EXDEV:
            raise
        write_atomic(data, path)  # a folder of the output lies on another disk, where a rename cannot reach


def write_json(path: Path, data: Any) -> None:
    """Write JSON with `write_atomic`, so that a reader never sees half a file."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(f"{text}\n".encode(errors=ESCAPED), path)


def read_json(path: Path | str) -> Any:
    """JSON of a file, or None where it is absent or damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError, RecursionError):
        return None


def sha256(path: Path, chunk: int = 1 << 20) -> str:
    """The SHA-256 of a file as hexadecimal digits, read in chunks of `chunk` bytes.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(chunk):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    return digest.hexdigest()


def read_json_object(path: Path) -> dict[str, Any]:
    """One JSON object from a file that belongs to weights.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: must hold one JSON object, holds a {type(content).__name__}")
    return content
