"""`manifest.jsonl`: one line for each damaged image, in the order of writing, with all that is needed to repeat it."""

from __future__ import annotations

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
    """Path of the clean file, as given."""
    output: str
    """Path of the damaged file, relative to the manifest's folder."""
    kind: str
    severity: int
    seed: int
    input_sha256: str
    output_sha256: str
    """SHA-256 of the files' bytes."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    """The damage, with all options that are set."""


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Add lines to a manifest in one write, so that an interrupted run leaves a valid file."""
    lines = "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries)
    with path.open("a", encoding="utf-8") as file:
        file.write(lines)


def read(path: Path) -> Iterator[Entry]:
    """The lines of a manifest; an incomplete last line is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield Entry(**json.loads(line))
