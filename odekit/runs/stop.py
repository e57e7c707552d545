"""Stop requests: Ctrl-C, SIGTERM from a scheduler, and time limits."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from odekit.errors import ConfigError, Stopped

INTERRUPTED, TERMINATED, HUNG_UP, TIME_LIMIT = "interrupted", "terminated", "terminal closed", "time limit"
MAX_TERMINAL = 64
"""File numbers below this are searched for terminals."""
REASONS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
"""Why a run stops, by signal."""
if sys.platform != "win32":
    REASONS[signal.SIGHUP] = HUNG_UP


class StopRequest:
    """A stop request, checked after each batch and by the progress callbacks of the batch.

    As a context manager it handles SIGINT, SIGTERM and SIGHUP (unless ignored, as under nohup) in the main thread; in
    other threads it changes nothing. The
    first signal ends a running batch with `Stopped`: at once if it arrives inside `interruptible`, so that stages which
    report no progress are stopped too. Files that are being read or written are finished. The second signal raises
    KeyboardInterrupt.

    Args:
        limit: time limit in seconds from now.
        on_message: receives messages for the user.
    """

    def __init__(self, limit: float | None = None, on_message: Callable[[str], None] = lambda text: None) -> None:
        self.reason = ""
        """Why the run stops; empty: no request."""
        self.on_message = on_message
        self.deadline = None if limit is None else time.monotonic() + limit
        self.longest = 0.0
        """Seconds of the longest batch so far."""
        self.handlers: dict[int, Any] = {}
        """Previous signal handlers."""
        self.terminals: list[int] = []
        """Open files that are terminals: the standard ones and their copies."""
        self.may_raise = False
        """A signal that arrives now raises `Stopped`."""
        self.announced = True
        """The user was told of every signal so far."""

    def __enter__(self) -> StopRequest:
        self.terminals = [number for number in range(1, MAX_TERMINAL) if os.isatty(number)]
        if threading.current_thread() is threading.main_thread():
            for number in REASONS:
                if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                    self.handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.reason:
            raise KeyboardInterrupt
        self.reason = REASONS[signal.Signals(number)]
        if self.reason == HUNG_UP:
            self._leave_terminal()
        self.announced = False
        self._raise_if_allowed()

    def announce(self) -> None:
        """Tell of a signal. Not inside its handler, which may have interrupted code that holds the progress's locks."""
        if not self.announced:
            self.announced = True
            self.on_message("stopping; finished results are kept; press Ctrl-C again to stop at once")

    def _leave_terminal(self) -> None:
        """Send further output nowhere: writing to a terminal that is closed is an error."""
        null = os.open(os.devnull, os.O_WRONLY)
        for number in self.terminals:
            os.dup2(null, number)
        os.close(null)

    def _raise_if_allowed(self) -> None:
        if self.may_raise and self.reason in REASONS.values():
            self.may_raise = False
            raise Stopped

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While a batch runs: a signal raises `Stopped` here. Results are lost, nothing is half written."""
        self.may_raise = True
        try:
            self._raise_if_allowed()
            yield
        finally:
            self.may_raise = False
            self.announce()

    @contextmanager
    def callback(self) -> Iterator[None]:
        """While a progress callback runs: a signal raises `Stopped` only when it has returned, since it holds locks."""
        allowed, self.may_raise = self.may_raise, False
        try:
            yield
        finally:
            self.may_raise = allowed
        self._raise_if_allowed()

    def record_batch_time(self, seconds: float) -> None:
        """Register the time that a batch took, as an estimate for the next one."""
        self.longest = max(self.longest, seconds)

    def should_stop(self) -> bool:
        """Whether to stop now: after a signal, or if another batch would exceed the time limit."""
        self.announce()
        if not self.reason and self.deadline is not None and time.monotonic() + self.longest > self.deadline:
            self.reason = TIME_LIMIT
        return bool(self.reason)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as they would, but through its `finally` blocks: locks and temporary files go.

    For the time in which no `StopRequest` handles them, such as the loading of networks. Signals that the calling
    program handles or ignores, and other threads than the main one, are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Ended

    caught = [number for number in REASONS if number != signal.SIGINT and signal.getsignal(number) == signal.SIG_DFL]
    for number in caught:
        signal.signal(number, handle)
    try:
        yield
    except BaseException:
        if not received:
            raise
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)
    if received:
        # Whatever became of the exception: code that was loading may have made an error of its own out of it.
        raise SystemExit(128 + received[0])


class Ended(BaseException):
    """A signal arrived in `ending_in_order`. Neither an `Exception` nor `SystemExit`, which plugins' faults are."""


def parse_duration(text: str) -> float:
    """Parse a duration into seconds: "90" or "90s", "30m", "2h", "1d", or "1:30:00".

    Raises:
        ConfigError: another form, or not above 0.
    """
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
    plain = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    clock = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", text.strip())
    seconds = 0.0
    if plain:
        seconds = float(plain[1]) * units[plain[2]]
    elif clock:
        seconds = int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    if seconds <= 0:
        raise ConfigError(f"--time-limit {text}: write a duration such as 90s, 30m, 2h or 1:30:00")
    return seconds


@dataclass
class StopFlag:
    """Whether a stop was requested."""

    stop: bool = False


@contextmanager
def stop_flag(active: bool = True) -> Iterator[StopFlag]:
    """Set `stop` at SIGINT or SIGTERM; a second signal has its usual effect.

    Does nothing outside the main thread, or if not `active`.
    """
    request = StopFlag()
    if not active or threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        request.stop = True
        signal.signal(number, previous[signal.Signals(number)])

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
