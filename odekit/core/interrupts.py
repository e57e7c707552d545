"""Tell Ctrl-C from code that raises KeyboardInterrupt, or another exception beyond `Exception`, on its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from odekit.errors import Stopped, StrayInterrupt


@contextmanager
def stray_interrupts() -> Iterator[None]:
    """While code of a plugin runs: an interrupt that no signal asked for is the code's own error.

    SIGINT keeps its handler; only whether it arrived is noted. In threads other than the main one no signal raises
    anything.

    Raises:
        StrayInterrupt: the code raised KeyboardInterrupt without SIGINT, GeneratorExit or the like.
    """
    arrived: list[int] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.getsignal(signal.SIGINT) if in_main_thread else None

    def handle(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        if callable(previous):
            previous(number, frame)

    if callable(previous):
        signal.signal(signal.SIGINT, handle)
    try:
        yield
    except (Exception, SystemExit, Stopped):
        raise
    except BaseException as error:
        if arrived:
            raise
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise StrayInterrupt(f"{text}, although nobody interrupted it") from error
    finally:
        if callable(previous) and signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, previous)
