"""Pause of garbage collection during start-up: imports create no garbage, and collections take 10 % of the time."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_paused = False


@contextlib.contextmanager
def pause_gc(active: bool = True) -> Iterator[None]:
    """Pause garbage collection until `resume_gc` is called or the block ends; only if `active` and it was enabled."""
    global _paused
    if active and gc.isenabled():
        gc.disable()
        _paused = True
    try:
        yield
    finally:
        resume_gc()


def resume_gc() -> None:
    """End the pause. Objects created during start-up are excluded from later collections (`gc.freeze`)."""
    global _paused
    if _paused:
        _paused = False
        gc.freeze()
        gc.enable()
