"""No garbage collection while a program starts: nothing of what is imported dies, and looking takes a tenth of it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_paused = False


@contextlib.contextmanager
def quickly(wanted: bool = True) -> Iterator[None]:
    """Pauses the collector, where it runs and this is `wanted`, until `resume` is called or the block ends."""
    global _paused
    if wanted and gc.isenabled():
        gc.disable()
        _paused = True
    try:
        yield
    finally:
        resume()


def resume() -> None:
    """The start is over: the collector goes on as before, and passes over what the start has left."""
    global _paused
    if _paused:
        _paused = False
        gc.freeze()
        gc.enable()
