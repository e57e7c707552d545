"""Monitors latents: which row became NaN or left the plausible range, and at which level.

Measurements stay on the latents' own device as tensors, so that a GPU is not synchronised at every step. They become
text only when `MonitoredLatent.row_failures` is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from odekit.core.abilities import HasFailedRows
from odekit.core.interfaces import Latent, State

if TYPE_CHECKING:
    from torch import Tensor

MAX_PLAUSIBLE_RMS = 100.0
"""Largest plausible RMS of x: a latent's is about 1, that of a badly damaged image a few."""
PHASES = ("during inversion", "after an edit", "during decoding")
INVERSION, EDIT, DECODING = range(len(PHASES))


@dataclass(frozen=True)
class LatentHealth:
    """The RMS of each row after every step so far, and the rows that the solver reported as failed."""

    history: tuple[tuple[int, Tensor], ...]
    """Location of each step (see `location`), in order, and the RMS of x there, float64 (N,)."""
    solver_failures: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    """Row -> location and reason, for rows that the solver reported as failed."""

    @classmethod
    def initial(cls, x: State) -> LatentHealth:
        """No failure yet in any row of x."""
        import torch

        return cls(((-1, torch.zeros(len(x), dtype=torch.float64, device=x.device)),))

    def with_step(self, y: State, signal: float, level: int, phase: int, carry: Any = None) -> LatentHealth:
        """With a step that ended at x = signal y, (N, 3, H, W), at a level; `carry` may report failed rows."""
        import torch

        step = location(level, phase)
        reported = carry.failed if isinstance(carry, HasFailedRows) else {}
        rms = torch.linalg.vector_norm(y.flatten(1), dim=1) * (signal / math.sqrt(y[0].numel()))
        new = {row: (step, reason) for row, reason in reported.items() if row not in self.solver_failures}
        if new:
            rms[list(new)] = math.inf
        return replace(self, history=(*self.history, (step, rms)), solver_failures={**new, **self.solver_failures})

    @cached_property
    def implausible(self) -> Tensor:
        """bool (steps, N): where the RMS of a row is NaN, infinite or above `MAX_PLAUSIBLE_RMS`."""
        import torch

        return ~(torch.stack([rms for _, rms in self.history]) <= MAX_PLAUSIBLE_RMS)

    @property
    def failed(self) -> Tensor:
        """bool (N, 1, 1, 1): rows that failed at any step."""
        return self.implausible.any(dim=0).view(-1, 1, 1, 1)

    def reasons(self, levels: int) -> dict[int, str]:
        """Failed row -> its first failure, on a grid of so many levels. Synchronises with the device."""
        reasons = {}
        for row, implausible in enumerate(self.implausible.t().tolist()):
            if any(implausible):
                step, rms = self.history[implausible.index(True)]
                where = location_text(step, levels)
                failed_at, reason = self.solver_failures.get(row, (-1, ""))
                reasons[row] = f"{reason} (at {where})" if failed_at == step else rms_message(float(rms[row]), where)
        return reasons


@dataclass(frozen=True)
class MonitoredLatent(Latent):
    """A latent with the health of its rows; failed rows of the decoded image are NaN."""

    health: LatentHealth | None = None
    levels: int = 0
    """Number of levels of the grid."""

    @cached_property
    def row_failures(self) -> Mapping[int, str]:
        """Failed row -> its first failure, with the level. Reading it synchronises with the device."""
        return {} if self.health is None else self.health.reasons(self.levels)


def location(level: int, phase: int) -> int:
    """A level (-1 is the image) and a phase as one number."""
    return (level + 1) * len(PHASES) + phase


def location_text(step: int, levels: int) -> str:
    """A location as text, such as 'level 6 of 10 during inversion'."""
    level, phase = divmod(step, len(PHASES))
    return f"{'the image' if level == 0 else f'level {level - 1} of {levels}'} {PHASES[phase]}"


def rms_message(rms: float, where: str) -> str:
    """One line about an implausible RMS."""
    what = "became NaN or infinite" if not math.isfinite(rms) else f"left the plausible range (RMS {rms:.3g})"
    return f"the latent {what} at {where}; use more steps, another solver or grid, a smaller step, or precision float32"
