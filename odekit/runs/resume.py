"""Resume: decide from the records in an output folder which inputs are complete, and compare stored chains."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from odekit.chains import document
from odekit.chains.chain import Chain
from odekit.plugins.catalog import BUILT_IN, Catalog
from odekit.runs.record import RECORD_SCHEMA, SHARED_START, describe_file


def matches_files(record: Any, source: str, folder: str) -> bool:
    """Whether input and output are as recorded.

    Compares sizes and the modification time of the input; if only the time differs, the SHA-256 of the input. The name
    of the output in `folder` is taken from the record, because a file with the wrong suffix gets a second one.
    """
    try:
        if record["schema"] != RECORD_SCHEMA:
            return False
        recorded, output = record["input"], record["output"]
        stat = os.stat(source)
        if stat.st_size != recorded["bytes"]:
            return False
        if os.stat(os.path.join(folder, os.path.basename(output["path"]))).st_size != output["bytes"]:
            return False
        same_time = stat.st_mtime_ns == recorded["mtime_ns"]
        return bool(same_time or describe_file(Path(source))["sha256"] == recorded["sha256"])
    except (OSError, KeyError, TypeError, ValueError):
        return False


class CompletionCheck:
    """Decides from records which files are complete. The part that records share is parsed and compared only once.

    Args:
        agrees: whether a record has the settings of this run.
    """

    def __init__(self, agrees: Callable[[Mapping[str, Any]], bool]) -> None:
        self.agrees = agrees
        self.agreed: set[bytes] = set()
        """Shared parts of records that have the settings of this run."""
        self.record: Mapping[str, Any] = {}
        """The record that `done` has read last; without the shared part where that was known."""

    def done(self, target: str, source: str) -> bool:
        """Whether the record of `target` shows that it was restored from `source` with the settings of this run."""
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
        head, _, shared = data.partition(SHARED_START)
        record = parse_json(head + b"}") if shared in self.agreed else None
        if not isinstance(record, dict):  # a new shared part, or a record in another format
            record = parse_json(data)
            if not isinstance(record, dict) or not self.agrees(record):
                return False
            entries = parse_json(head + b"}")
            if shared and isinstance(entries, dict) and all(record[key] == value for key, value in entries.items()):
                self.agreed.add(shared)
        self.record = record
        return matches_files(record, source, os.path.dirname(target))


def parse_json(data: bytes) -> Any:
    """Parse JSON; None if it is not valid."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def with_defaults(stored: Any, parts: Catalog) -> Any:
    """A stored chain with the defaults of options that were added since; unchanged if it is not a valid chain."""
    try:
        return Chain.from_document(document.Document(stored, "", {}, owner=BUILT_IN), (), parts).tree()
    except Exception:  # a record may contain anything
        return stored


def first_difference(stored: Any, current: Any, path: str = "") -> str:
    """The first difference of two chains, as text; empty if they are equal."""
    if isinstance(stored, dict) and isinstance(current, dict):
        for key in [*current, *(key for key in stored if key not in current)]:
            key_path = f"{path}.{key}".lstrip(".") if key != "chain" else path
            if difference := first_difference(stored.get(key), current.get(key), key_path):
                return difference
        return ""
    if isinstance(stored, list) and isinstance(current, list) and len(stored) == len(current):
        differences = (first_difference(a, b, path) for a, b in zip(stored, current, strict=True))
        return next(filter(None, differences), "")
    return "" if stored == current else f"{path or 'it'} was {_shorten(stored)} and is now {_shorten(current)}"


def _shorten(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
