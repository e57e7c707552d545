"""The event log of a run, `run.jsonl`: one line for the start, one for each picture, and one for the end.

It is for monitoring only: `--resume` reads the records, not this log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from odekit.core.text import visible_json
from odekit.runs.inputs import shard_tag

_to_json = json.JSONEncoder(ensure_ascii=False).encode


def log_name(shard: str | None) -> str:
    """File name of the log; each shard writes a separate log."""
    return f"run{shard_tag(shard)}.jsonl"


class EventLog:
    """Appends events to a log file; a resumed run continues the log of the previous run."""

    def __init__(self, path: Path) -> None:
        incomplete = _ends_within_line(path)
        self.file: TextIOWrapper = path.open("a", encoding="utf-8", errors="backslashreplace")
        if incomplete:  # the previous run was killed while writing a line
            self.file.write("\n")

    def add(self, event: str, **values: Any) -> None:
        """Append an event, with the time in seconds since 1970."""
        self.file.write(visible_json(_to_json({"time": round(time.time(), 3), "event": event} | values)) + "\n")

    def flush(self) -> None:
        """Write buffered events to the file."""
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, oldest first; lines that are not valid events are skipped, such as those cut by a kill."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and isinstance(event.get("event"), str) and _is_time(event.get("time")):
                yield event


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e11


def _ends_within_line(path: Path) -> bool:
    """Whether a file exists and its last line has no line break."""
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return False
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False
