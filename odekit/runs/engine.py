"""Batches through a chain, with less at a time where memory runs out: the seam between files and networks.

The runner hands over decoded pictures and takes results; a cluster's own engine may do the same with another transport.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from odekit.core.device import out_of_memory, release_unused
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import InputError


class Batches(Protocol):
    """What an engine drives: a `Session`."""

    slots: int

    @property
    def window(self) -> int:
        """Pictures that are best handed over at once."""
        ...

    @property
    def fill(self) -> float | None:
        """Share of the slots of all network calls that held a picture; None where every batch is one call."""
        ...

    def run(self, images: Sequence[Image]) -> list[Result]:
        """One result per image, in order."""
        ...


class Engine:
    """Runs batches of at most `slots` pictures and counts what became of the slots and of the time."""

    def __init__(self, session: Batches, say: Callable[[str], None] = lambda text: None) -> None:
        self.session = session
        self.say = say
        self.full = session.slots
        self.busy = 0.0
        """Seconds inside the chain."""
        self.images = 0
        self.room = 0
        """Slots of all batches so far."""

    @property
    def slots(self) -> int:
        """Slots of a batch now."""
        return self.session.slots

    @property
    def window(self) -> int:
        """Pictures that are best handed over at once: several batches where each needs its own number of calls."""
        return max(self.slots, self.session.window)

    def run(self, images: Sequence[Image]) -> list[Result]:
        """One result per image, in order; each says the slots that it was made with.

        Out of memory: the slots are halved and stay so, which may change the last bits, as records say.
        A picture that does not fit alone fails, and the others go on with all slots.
        """
        began = time.perf_counter()
        results: list[Result] = []
        while len(results) < len(images):
            results += self._some(images[len(results) : len(results) + self.window])
        self.busy += time.perf_counter() - began
        self.images += len(images)
        return results

    def _some(self, images: Sequence[Image]) -> list[Result]:
        """The results of the first of these images, as many as memory allows."""
        while True:
            try:
                results = self.session.run(images[: self.window])
                break
            except Exception as error:
                if not out_of_memory(error):
                    raise
                release_unused()
            if self.slots == 1:
                self.session.slots = self.full  # the picture was to blame, not the number of slots
                self.room += 1
                reason = "needs more memory than there is, even alone; make it smaller, or use tiles"
                return [Result(images[0], None, {"stages": [], "slots": 1}, InputError(reason))]
            self.session.slots = self.slots // 2
            self.say(f"out of memory: going on with {self.slots} slot(s) at a time instead of {self.slots * 2}")
        for result in results:
            result.record["slots"] = self.slots
        self.room += self.slots * -(-len(results) // self.slots)
        return results

    @property
    def fill(self) -> float:
        """Share of the slots so far that held a picture: of all network calls where they differ, else of batches."""
        packed = self.session.fill
        if packed is not None:
            return packed
        return self.images / self.room if self.room else 0.0
