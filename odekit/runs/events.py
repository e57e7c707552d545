"""The event log of a run, `run.jsonl`: one line for the start, one for each picture, and one for the end.

It is for monitoring only: `--resume` reads the records, not this log.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from odekit.core.files import parse_json, write_atomic
from odekit.core.text import visible_json
from odekit.runs.containment import open_own
from odekit.runs.inputs import shard_tag

MAX_LINE_BYTES = 1 << 24
"""Longer lines are no events; they are skipped in pieces."""
_to_json = json.JSONEncoder(ensure_ascii=False).encode


def log_name(shard: str | None) -> str:
    """File name of the log; each shard writes a separate log."""
    return f"run{shard_tag(shard)}.jsonl"


class EventLog:
    """Appends events to a log file; a resumed run continues the log of the previous run.

    A disk that is full later is not reported here: it ends the run when a result is written.

    Raises:
        OSError: the file cannot be opened, or is a link or no regular file.
    """

    def __init__(self, path: Path) -> None:
        incomplete = _prepare(path)
        self.file: TextIOWrapper = open(  # noqa: SIM115
            path, "a", encoding="utf-8", errors="backslashreplace", opener=open_own
        )
        if incomplete:  # the previous run was killed while writing a line
            self._write("\n")

    def add(self, event: str, **values: Any) -> None:
        """Append an event, with the time in seconds since 1970."""
        self._write(visible_json(_to_json({"time": round(time.time(), 3), "event": event} | values)) + "\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.file.write(text)

    def flush(self) -> None:
        """Write buffered events to the file."""
        with contextlib.suppress(OSError):
            self.file.flush()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self.file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, oldest first; lines that are not valid events are skipped, such as those cut by a kill.

    Raises:
        OSError: there is no such file, or it is a link or no regular file.
    """
    with open(path, "rb", opener=open_own) as file:
        while line := file.readline(MAX_LINE_BYTES):
            event = parse_json(line)
            if isinstance(event, dict) and isinstance(event.get("event"), str) and _is_time(event.get("time")):
                yield event


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e11


def _prepare(path: Path) -> bool:
    """Whether a log exists and its last line has no line break. A second name of it (a hard link) is left alone."""
    try:
        with open(path, "rb", opener=open_own) as file:
            if os.fstat(file.fileno()).st_nlink > 1:
                write_atomic(file.read(), path)
            if not file.seek(0, 2):
                return False
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False
