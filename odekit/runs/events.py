"""The event log of a run, `run.jsonl`: a line for the start, for each picture, and for the end.

It is for people and monitors. What proves a file done is its record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

_line = json.JSONEncoder(ensure_ascii=False).encode


def log_name(shard: str | None) -> str:
    """The log's file name; shards that share a folder have one each."""
    return "run.jsonl" if shard is None else f"run-{shard.replace('/', '-of-')}.jsonl"


class EventLog:
    """Appends events; a run that goes on adds to the log of the one before."""

    def __init__(self, path: Path) -> None:
        torn = _torn(path)
        self.file: TextIOWrapper = path.open("a", encoding="utf-8", errors="backslashreplace")
        if torn:  # the run before was killed in the middle of a line
            self.file.write("\n")

    def add(self, event: str, **facts: Any) -> None:
        """One event, with the time in seconds since 1970."""
        self.file.write(_line({"time": round(time.time(), 3), "event": event} | facts) + "\n")

    def flush(self) -> None:
        """Hand what was added to the system."""
        self.file.flush()

    def close(self) -> None:
        """The run is over."""
        self.file.close()


def events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, oldest first; lines that are no event (torn by a kill) are left out."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and isinstance(found.get("event"), str) and _is_time(found.get("time")):
                yield found


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e11


def _torn(path: Path) -> bool:
    """Whether the file's last line has no end."""
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return False
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False
