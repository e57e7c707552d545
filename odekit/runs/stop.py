"""When a run ends before its end: Ctrl-C, a scheduler's SIGTERM, a time limit."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from odekit.errors import ConfigError

INTERRUPTED, TERMINATED, TIME = "interrupted", "terminated", "time limit"


class Stop:
    """Asked for after each batch. The first signal lets the batch finish, the second stops at once.

    A context: inside it, SIGINT and SIGTERM are ours (in the main thread; elsewhere nothing changes).
    """

    def __init__(self, limit: float | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        self.reason = ""
        self.say = say
        self.deadline = None if limit is None else time.monotonic() + limit
        self.longest = 0.0
        self.handlers: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.reason:
            raise KeyboardInterrupt
        self.reason = INTERRUPTED if number == signal.SIGINT else TERMINATED
        self.say("finishing the batch at work; Ctrl-C again stops at once")

    def took(self, seconds: float) -> None:
        """A batch took this long; another one may."""
        self.longest = max(self.longest, seconds)

    def asked(self) -> bool:
        """Whether the run ends here. With a time limit: whether another batch would end too late."""
        if not self.reason and self.deadline is not None and time.monotonic() + self.longest > self.deadline:
            self.reason = TIME
        return bool(self.reason)


def seconds_of(text: str) -> float:
    """A length of time: "90" or "90s", "30m", "2h", "1d", or "1:30:00".

    Raises:
        ConfigError: none of these, or not above 0.
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
        raise ConfigError(f"--time-limit {text}: write a length of time such as 90s, 30m, 2h or 1:30:00")
    return seconds


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
