"""The open chain of each thread that restores frames."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.session import Session
from odekit.core.device import resolve_device
from odekit.errors import Stopped
from odekit_video.threads import thread_count

BATCH = 8
"""Frames in progress at once: on a GPU their faces share network calls, on a processor its threads share the frames."""


@dataclass(frozen=True)
class Workers:
    """How many frames are restored at once."""

    count: int
    """Threads. Each has its own session, and its share of the threads of the networks."""
    batch: int
    """Frames that one takes at a time, and rows of a network call."""

    @classmethod
    def on(cls, device: str) -> Workers:
        """For a device. On a processor each thread has frames of its own: so none waits in the work between calls."""
        count = thread_count() if device == "cpu" else 1
        return cls(count, BATCH if count == 1 else max(1, BATCH // (2 * count)))


class Sessions:
    """Sessions of a chain, opened when they are needed."""

    def __init__(self, chain: Chain, seed: int, device: str, precision: str) -> None:
        """Open the first one. Raises what `Chain.open` raises."""
        self.chain, self.seed = chain, seed
        device = resolve_device(device)
        self.workers = Workers.on(device)
        self.abandoned = threading.Event()
        """Set where nobody waits for the results any more: all sessions end within one call of a network."""
        first = self._opened(images=self.workers.batch, device=device, precision=precision)
        self.execution = first.execution
        self.free = [first]

    @contextlib.contextmanager
    def one(self) -> Iterator[Session]:
        """A session that no other thread uses meanwhile."""
        try:
            session = self.free.pop()
        except IndexError:
            session = self._opened(execution=self.execution)
        try:
            yield session
        finally:
            self.free.append(session)

    def _opened(self, **how: Any) -> Session:
        """A session that ends when its results are abandoned, and keeps no record of how far a face was moved."""
        return self.chain.open(
            seed=self.seed, on_calls=self._go_on, on_phase=self._go_on, measure_identity=False, **how
        )

    def _go_on(self, *progress: object) -> None:
        """The progress callback of the sessions. Raises Stopped to end them."""
        if self.abandoned.is_set():
            raise Stopped
