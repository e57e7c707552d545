"""Counts network calls and reports them to a progress callback."""

from __future__ import annotations

from collections.abc import Callable


class Counter:
    """The network calls of a run; `tell` is called with 1 at each."""

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        self.calls = 0
        self.tell = tell

    def count(self) -> None:
        """One call happened."""
        self.calls += 1
        if self.tell is not None:
            self.tell(1)
