"""What makes a short command shorter: no garbage collection during imports, and no clearing up of torch at the end."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from types import TracebackType

_paused = False
_frozen = False
"""Whether the start-up of this process has ended. A second `gc.freeze` would keep the garbage of what ran before it."""


@contextlib.contextmanager
def pause_gc(active: bool = True) -> Iterator[None]:
    """Pause garbage collection until `resume_gc` is called or the block ends.

    Only if `active`, if collection was enabled, and for the first command of a process.
    """
    global _paused
    if active and not _frozen and gc.isenabled():
        gc.disable()
        _paused = True
    try:
        yield
    finally:
        resume_gc()


def resume_gc() -> None:
    """End the pause. Objects created during start-up are excluded from later collections (`gc.freeze`)."""
    global _paused, _frozen
    if _paused:
        _paused, _frozen = False, True
        gc.freeze()
        gc.enable()


class QuickExit:
    """The process ends once its exit handlers have run, without taking its modules apart: with torch that is 0.2 s.

    For the body that is the whole program. Handlers run in reverse order, so this one is the last.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        """Exit code of the program; None where Python is to find it."""

    def __enter__(self) -> None:
        atexit.register(self._end)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.code = 0
        elif isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
            self.code = error.code or 0

    def _end(self) -> None:
        if self.code is None or "torch" not in sys.modules:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            return  # Python says what is wrong with it
        os._exit(self.code & 0xFF)
