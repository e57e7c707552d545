"""`manifest.jsonl`: one line for each damaged picture, in the order they were made, enough to repeat it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """One line."""

    input: str
    """Path of the clean file as it was named."""
    output: str
    """Path of the damaged file, relative to the manifest's folder."""
    kind: str
    severity: int
    seed: int
    input_sha256: str
    output_sha256: str
    """Of the files' bytes."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    """What was done, with all options that were set."""


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file.read())
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Add lines to a manifest. What was written stays valid whatever happens next."""
    lines = "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries)
    with path.open("a", encoding="utf-8") as file:
        file.write(lines)


def read(path: Path) -> Iterator[Entry]:
    """The lines of a manifest; a last line cut short by a crash is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield Entry(**json.loads(line))
