"""Pause of garbage collection during start-up: imports create no garbage, and collections take 10 % of the time."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

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
