"""What makes a short command shorter: no garbage collection during imports, and no clearing up of torch at the end."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
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


@contextlib.contextmanager
def quick_exit() -> Iterator[None]:
    """End the process after the block without taking its modules apart: with torch that is 0.2 s, and Ray may crash.

    For the block that is the whole program. Its threads and exit handlers end as at any other end.
    """
    try:
        yield
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            leave(end.code or 0)
        raise
    leave(0)


def leave(code: int) -> None:
    """End this process as Python does, up to the clearing up of modules.

    Returns where that would gain nothing, because neither torch nor Ray is loaded, and where Python has to say
    something.
    """
    if not sys.modules.keys() & {"torch", "ray"}:
        return
    try:
        end_threads, run_handlers = threading._shutdown, atexit._run_exitfuncs  # type: ignore[attr-defined]
    except AttributeError:  # of CPython, which has no public names for them
        return
    end_threads()
    run_handlers()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code & 0xFF)
