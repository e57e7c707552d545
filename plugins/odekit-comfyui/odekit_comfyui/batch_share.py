"""How far a batch is, from the phases of a chain: all pictures of a group share network calls and end together."""

from __future__ import annotations

from collections.abc import Sequence

import odekit

WEIGHTS = {"restore": 6.0, "upsample": 2.0, "save": 0.0}
"""Rough shares of the time of stages; of others 1."""


class BatchShare:
    """The share of a batch that is done; it never falls.

    Args:
        stages: names of the stages of the chain in their order, those for each face included.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = list(stages)
        self.weights = [WEIGHTS.get(name, 1.0) for name in stages]
        self.far = 0.0
        self.finished = 0
        self.group = 0
        """Pictures that go through the chain together."""
        self.stage = 0
        self.within = 0.0
        """How far the stage is."""
        self.phase = ""

    def __call__(self, progress: odekit.Progress) -> float:
        """From 0 to 1, after a report."""
        if progress.finished != self.finished:  # the phase of this report is the last one of a group
            self.finished, self.group, self.stage, self.within, self.phase = progress.finished, 0, 0, 0.0, ""
            self.far = max(self.far, progress.finished / max(1, progress.images))
            return self.far
        self.group = self.group or min(progress.total, progress.images - progress.finished)
        if progress.phase != self.phase:
            self.phase = progress.phase
            if progress.phase in self.stages[self.stage :]:
                self.stage, self.within = self.stages.index(progress.phase, self.stage), 0.0
        if progress.total:
            self.within = max(self.within, min(1.0, progress.done / progress.total))
        before, whole = sum(self.weights[: self.stage]), sum(self.weights)
        share = (before + self.weights[self.stage] * self.within) / whole if whole else 0.0
        self.far = max(self.far, (progress.finished + self.group * share) / max(1, progress.images))
        return min(1.0, self.far)
