"""Counts network calls and reports them to a progress callback."""

from __future__ import annotations

from collections.abc import Callable


class CallCounter:
    """The number of network calls of a run. The callback `on_calls` receives 1 at each call."""

    def __init__(self, on_calls: Callable[[int], None] | None = None) -> None:
        self.calls = 0
        self.on_calls = on_calls

    def count(self) -> None:
        """Add one call."""
        self.calls += 1
        if self.on_calls is not None:
            self.on_calls(1)
