"""An input that changes while it is restored: its frames would be of two videos."""

from __future__ import annotations

import time
from pathlib import Path

from odekit.core.files import file_digest
from odekit.errors import InputError

PAUSE = 1.0
"""Seconds between two looks at the file."""


class Watch:
    """Tells whether a file is still the one that it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = self._state()
        self.digest = file_digest(path)
        self.looked = time.monotonic()
        self.changed = False
        """Whether it was found to have changed."""

    def glance(self) -> None:
        """Look at size and time now and then. Raises InputError if they changed."""
        now = time.monotonic()
        if now - self.looked >= PAUSE:
            self.looked = now
            self.check()

    def check(self, content: bool = False) -> None:
        """Look at size and time, and at the content too. Raises InputError if they changed."""
        if self._state() != self.state or (content and file_digest(self.path) != self.digest):
            self.changed = True
            raise InputError(f"{self.path}: it changed while it was read; wait until it is complete, and start anew")

    def _state(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns
