"""The engine runs batches of decoded pictures through a chain, in smaller batches after an out-of-memory error.

It does not access files: `odekit run` passes it pictures from files, and other programs may use other sources.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from odekit.core.device import is_out_of_memory, release_gpu_memory
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import InputError, Stopped


class BatchRunner(Protocol):
    """The interface of a `Session` that an engine uses."""

    batch_size: int
    """Of network calls; the engine lowers it after an out-of-memory error."""

    @property
    def window(self) -> int:
        """Preferred number of pictures to pass at once."""
        ...

    @property
    def fill(self) -> float | None:
        """Occupied share of the rows of all network calls; None if every batch is one call."""
        ...

    def run(self, images: Sequence[Image]) -> list[Result]:
        """Run a batch; one result per image, in order."""
        ...


class Engine:
    """Runs pictures through a session in batches, and measures their fill rate and time.

    Args:
        session: runs the batches.
        on_message: receives messages for the user.
    """

    def __init__(self, session: BatchRunner, on_message: Callable[[str], None] = lambda text: None) -> None:
        self.session = session
        self.on_message = on_message
        self.initial_batch_size = session.batch_size
        """Batch size at the start."""
        self.seconds = 0.0
        """Seconds spent in the chain so far."""
        self.images = 0
        """Pictures so far."""
        self.capacity = 0
        """Rows of all batches so far, occupied or not."""

    @property
    def batch_size(self) -> int:
        """Current batch size."""
        return self.session.batch_size

    @property
    def window(self) -> int:
        """Preferred number of pictures to pass at once: several batches if a stage packs rows of different batches."""
        return max(self.batch_size, self.session.window)

    def run(self, images: Sequence[Image]) -> list[Result]:
        """Run pictures; one result per image, in order. Each record states the batch size under the key `slots`.

        Fewer results are returned if a progress callback raised `Stopped`: those of the first pictures, if the window
        is smaller than the batch, else none.

        After an out-of-memory error the batch size is halved and stays so; this may change the last bits of results. A
        picture that does not fit into memory on its own fails; the batch size is then reset for the others.
        """
        started = time.perf_counter()
        results: list[Result] = []
        try:
            while len(results) < len(images):
                results += self._run_window(images[len(results) :])
        except Stopped:
            pass
        self.seconds += time.perf_counter() - started
        self.images += len(results)
        return results

    def _run_window(self, images: Sequence[Image]) -> list[Result]:
        """Results of the first of these images: of a window, or of as many as fit into memory at once."""
        while True:
            try:
                results = self.session.run(images[: self.window])
                break
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                release_gpu_memory()
            if self.batch_size == 1:
                self.session.batch_size = self.initial_batch_size  # the picture is too large, not the batch
                self.capacity += 1
                reason = "does not fit into memory, even alone; make the picture smaller, or use tiles"
                return [Result(images[0], None, {"stages": [], "slots": 1}, InputError(reason))]
            self.session.batch_size = self.batch_size // 2
            self.on_message(f"out of memory: the batch size is now {self.batch_size} instead of {self.batch_size * 2}")
        for result in results:
            result.record["slots"] = self.batch_size
        self.capacity += self.batch_size * -(-len(results) // self.batch_size)
        return results

    @property
    def fill(self) -> float:
        """Occupied share of the rows so far: of network calls if the session measures it, else of batches."""
        packed = self.session.fill
        if packed is not None:
            return packed
        return self.images / self.capacity if self.capacity else 0.0
