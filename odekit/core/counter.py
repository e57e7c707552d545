"""Counts network calls and reports them to a progress callback."""

from __future__ import annotations

from collections.abc import Callable


class CallCounter:
    """The number of network calls of a run. The callback `tell` receives 1 at each call."""

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        self.calls = 0
        self.tell = tell

    def count(self) -> None:
        """Add one call."""
        self.calls += 1
        if self.tell is not None:
            self.tell(1)
