"""Progress of a call from Python, as its callback `tell` receives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """How far a call is."""

    images: int
    """Number of images of the call."""
    finished: int = 0
    """Images that have their result."""
    phase: str = ""
    """What is done now: the name of a stage, or of a phase of it such as `searching faces`."""
    done: float = 0.0
    """Images or faces that this phase has finished; fractions are progress within one."""
    total: int = 0
    """Images or faces of this phase."""
    calls: int = 0
    """Network calls so far; one call serves all images of a batch."""

    @property
    def share(self) -> float:
        """How far the call is, from 0 to 1: finished images, and the share of the present phase in the next one.

        A later phase of an image begins at 0 again, so that the value may fall.
        """
        within = min(1.0, self.done / self.total) if self.total else 0.0
        return min(1.0, (self.finished + within) / max(1, self.images))


Tell = Callable[[Progress], None]
"""Receives the progress after each network call and phase. It may raise `odekit.Stopped`, which ends the call."""


class Teller:
    """Collects what a session reports, and passes it on as `Progress`.

    Args:
        tell: receives the progress; None: nobody does.
        images: number of images of the call.
    """

    def __init__(self, tell: Tell | None, images: int) -> None:
        self.tell = tell
        self.progress = Progress(images)

    def on_calls(self, number: int) -> None:
        """Network calls since the last report."""
        self._pass_on(replace(self.progress, calls=self.progress.calls + number))

    def on_phase(self, name: str, done: float, total: int) -> None:
        """A phase, and how far it is."""
        self._pass_on(replace(self.progress, phase=name, done=done, total=total))

    def on_images(self, number: int) -> None:
        """Images that have their result, since the last report."""
        self._pass_on(replace(self.progress, finished=self.progress.finished + number))

    def _pass_on(self, progress: Progress) -> None:
        self.progress = progress
        if self.tell is not None:
            self.tell(progress)
