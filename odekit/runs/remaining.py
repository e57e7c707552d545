"""Estimate of the time that a run still takes, from measured times only."""

from __future__ import annotations

import time
from collections.abc import Callable


class RemainingTime:
    """Measures a run by its progress callbacks, and estimates the rest.

    Args:
        clock: the current time in seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.total = 0
        """Pictures of the run."""
        self.finished = 0
        """Pictures restored or failed."""
        self.total_calls: int | None = None
        self.calls = 0
        """Network calls so far."""
        self.started = self.phase_started = self.last_finished = self.first_call = clock()
        self.name = ""
        """Name of the current phase."""
        self.done = 0.0
        self.phase_total = 0

    def begin(self, pictures: int, calls: int | None) -> None:
        """The first picture is about to be read; `calls`: network calls of the whole run, None if unknown."""
        self.total, self.total_calls = pictures, calls
        self.started = self.last_finished = self.clock()

    def add_phase(self, name: str, done: float, total: int) -> None:
        """Progress of a phase; another name, or a smaller number, begins a new one."""
        if name != self.name or done < self.done or total != self.phase_total:
            self.phase_started = self.clock()
        self.name, self.done, self.phase_total = name, done, total

    def add_calls(self, count: int) -> None:
        """`count` network calls were made."""
        if not self.calls:
            self.first_call = self.clock()
        self.calls += count

    def add_pictures(self, count: int) -> None:
        """`count` pictures are finished."""
        self.finished += count
        self.last_finished = self.clock()

    def of_run(self) -> float | None:
        """Seconds until the run ends; None before anything was measured.

        With a known number of network calls: at the mean time of a call, from the second call on. Otherwise at the mean
        time of a picture, from the first finished picture on.
        """
        now = self.clock()
        if self.total_calls and 1 < self.calls <= self.total_calls:
            return (now - self.first_call) / (self.calls - 1) * (self.total_calls - self.calls)
        if not self.finished:
            return None
        mean = (self.last_finished - self.started) / self.finished
        left = mean * (self.total - self.finished) - (now - self.last_finished)
        return max(left, self.of_phase() or 0.0)

    def of_phase(self) -> float | None:
        """Seconds until the current phase ends, at its mean speed; None before anything of it was measured."""
        if self.done <= 0 or self.phase_total <= 0:
            return None
        return (self.clock() - self.phase_started) / self.done * (self.phase_total - self.done)

    def text_of_run(self) -> str:
        """Such as `about 3 min left`; empty before anything was measured, and at the end."""
        run = self.of_run()
        return f"about {format_seconds(run)} left" if run is not None and self.finished < self.total else ""

    def text_of_phase(self) -> str:
        """Such as `about 20 s for this phase`; empty before anything of it was measured."""
        phase = self.of_phase()
        return f"about {format_seconds(phase)} for this phase" if phase else ""


def format_seconds(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
