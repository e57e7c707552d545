"""Ctrl-C and SIGTERM as a wish to stop after the step in hand, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Asked:
    """Whether someone asked to stop."""

    stop: bool = False


@contextmanager
def flag(active: bool = True) -> Iterator[Asked]:
    """Watch for both signals; a second one acts at once. Does nothing outside the main thread or where not `active`."""
    asked = Asked()
    if not active or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        asked.stop = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
