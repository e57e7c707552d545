"""What the event logs of an output folder say of its runs, living or dead."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from odekit.errors import InputError
from odekit.runs.events import events
from odekit.runs.lock import held


@dataclass(frozen=True)
class Run:
    """The latest run of an output folder, or of one shard there."""

    name: str
    state: str
    """`running`; `finished`, `interrupted`, ... as its log ends; `died` where the log has no end."""
    inputs: int
    done: int
    """Inputs restored, by this run or before."""
    failed: int
    left: int
    rate: float | None
    """Files a second since the run began; None before the first."""
    ends: str
    """When a running one will end at this rate, in local time."""
    last: str
    """Time of the last event."""

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def runs(out: Path) -> list[Run]:
    """The latest run of each log in the folder.

    Raises:
        InputError: no run ever wrote there.
    """
    logs = sorted(out.glob("run*.jsonl"))
    found = [run for run in map(latest, logs) if run is not None]
    if not found:
        raise InputError(f"{out}: no run has written here (there is no run.jsonl); name the folder given to -o")
    return found


def latest(log: Path) -> Run | None:
    """The last run in an event log; None where it holds none."""
    begin: dict[str, Any] = {}
    last: dict[str, Any] = {}
    restored = failed = 0
    for event in events(log):
        last = event
        if event["event"] == "begin":
            begin, restored, failed = event, 0, 0
        restored += event["event"] == "restored"
        failed += event["event"] == "failed"
    if not begin:
        return None
    living = held(log.with_suffix(".lock"))
    ended = str(last.get("reason", "finished")) if last["event"] == "end" else ""
    inputs, done = int(begin.get("inputs", 0)), int(begin.get("done", 0)) + restored
    left = max(0, inputs - done - failed)
    spent = float(last["time"]) - float(begin["time"])
    rate = (restored + failed) / spent if restored + failed and spent > 0 else None
    ends = clock(float(last["time"]) + left / rate) if living and rate and not ended else ""
    state = ended or ("running" if living else "died")
    return Run(log.stem, state, inputs, done, failed, left, rate, ends, clock(float(last["time"])))


def clock(when: float) -> str:
    """A time in local time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
