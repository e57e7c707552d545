"""State of the runs in an output folder, from their event logs and locks."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from odekit.errors import InputError
from odekit.runs.events import read_events
from odekit.runs.lock import is_locked


@dataclass(frozen=True)
class RunStatus:
    """The latest run of an output folder, or of one shard there."""

    name: str
    state: str
    """`running`; `finished`, `interrupted`, `crashed` etc. from the last event; `died` if the log has no end."""
    inputs: int
    done: int
    """Inputs restored by this run or an earlier one."""
    failed: int
    left: int
    rate: float | None
    """Files per second since the start of the run; None before the first file."""
    ends: str
    """Estimated end of a running run at this rate, in local time; else empty."""
    last: str
    """Local time of the last event."""

    def tree(self) -> dict[str, Any]:
        """The run as plain data, for --json."""
        return asdict(self)


def find_runs(out: Path) -> list[RunStatus]:
    """The latest run of each event log in the folder.

    Raises:
        InputError: no run has written to the folder.
    """
    latest_runs = []
    for log in sorted(out.glob("run*.jsonl")):
        with contextlib.suppress(OSError):  # no log, but a folder, a link or a pipe
            if (run := latest_run(log)) is not None:
                latest_runs.append(run)
    if not latest_runs:
        raise InputError(f"{out}: no run has written here (there is no run.jsonl); name the folder given to -o")
    return latest_runs


def latest_run(log: Path) -> RunStatus | None:
    """The latest run in an event log; None if it contains none."""
    begin: dict[str, Any] = {}
    last: dict[str, Any] = {}
    restored = failed = skipped = 0
    for event in read_events(log):
        last = event
        if event["event"] == "begin":
            begin, restored, failed, skipped = event, 0, 0, 0
        restored += event["event"] == "restored"
        failed += event["event"] == "failed"
        skipped += event["event"] == "skipped"  # an engine that finds out as it goes
    if not begin:
        return None
    alive = is_locked(log.with_suffix(".lock"))
    end_reason = str(last.get("reason", "finished")) if last["event"] == "end" else ""
    inputs, done = _count(begin.get("inputs")), _count(begin.get("done")) + restored + skipped
    left = max(0, inputs - done - failed)
    elapsed = float(last["time"]) - float(begin["time"])
    rate = (restored + failed) / elapsed if restored + failed and elapsed > 0 else None
    ends = format_time(float(last["time"]) + left / rate) if alive and rate and not end_reason else ""
    state = end_reason or ("running" if alive else "died")
    return RunStatus(log.stem, state, inputs, done, failed, left, rate, ends, format_time(float(last["time"])))


def _count(value: Any) -> int:
    """A number of files in an event; 0 if it is none."""
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0


def format_time(seconds: float) -> str:
    """Seconds since 1970 as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
