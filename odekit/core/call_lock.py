"""A lock for objects that a program may copy, or carry into a forked process."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType
from typing import Any


class CallLock:
    """One call at a time. A copy of it is free, and so is it in a process that was forked during a call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[CallLock], tuple[Any, ...]]:
        return CallLock, ()


_locks: weakref.WeakSet[CallLock] = weakref.WeakSet()


def _free_all() -> None:
    for lock in _locks:
        lock._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
