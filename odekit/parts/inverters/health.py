"""Watches latents on their way: which picture left the plausible range, and where.

What is seen stays on the pictures' own device as numbers, so that a graphics card is not waited for at every step; it
becomes words when somebody asks.
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

PLAUSIBLE = 100.0
"""RMS of x beyond which no prior has anything to say: a latent's is about 1, a badly damaged picture's a few."""
WAYS = ("on the way up", "where it was edited", "on the way down")
UP, EDITED, DOWN = range(len(WAYS))


@dataclass(frozen=True)
class Health:
    """Of each row, the first place at which it went wrong and its RMS there."""

    seen: tuple[tuple[int, Tensor], ...]
    """Places in order, as `place_of` gives them, and the RMS of x there, float64 (N,)."""
    given_up: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    """Rows that the solver itself gave up: the place and its reason."""

    @classmethod
    def of(cls, x: State) -> Health:
        """Nothing is wrong yet with the rows of x."""
        import torch

        return cls(((-1, torch.zeros(len(x), dtype=torch.float64, device=x.device)),))

    def after(self, y: State, signal: float, level: int, way: int, carry: Any = None) -> Health:
        """What is known after a step to x = signal y, (N, 3, H, W), at a level; the carry may tell of failed rows."""
        import torch

        here = place_of(level, way)
        failed_rows = carry.failed if isinstance(carry, HasFailedRows) else {}
        rms = torch.linalg.vector_norm(y.flatten(1), dim=1) * (signal / math.sqrt(y[0].numel()))
        failed = {row: (here, why) for row, why in failed_rows.items() if row not in self.given_up}
        if failed:
            rms[list(failed)] = math.inf
        return replace(self, seen=(*self.seen, (here, rms)), given_up={**failed, **self.given_up})

    @cached_property
    def wrong(self) -> Tensor:
        """bool (places, N): where the RMS of a row cannot be."""
        import torch

        return ~(torch.stack([rms for _, rms in self.seen]) <= PLAUSIBLE)

    @property
    def bad(self) -> Tensor:
        """bool (N, 1, 1, 1): rows that went wrong."""
        return self.wrong.any(dim=0).view(-1, 1, 1, 1)

    def trouble(self, levels: int) -> dict[int, str]:
        """What happened to each row that went wrong, on a grid of so many levels; waits for the device."""
        found = {}
        for row, wrong in enumerate(self.wrong.t().tolist()):
            if any(wrong):
                place, rms = self.seen[wrong.index(True)]
                where = said(place, levels)
                at, why = self.given_up.get(row, (-1, ""))
                found[row] = f"{why} (at {where})" if at == place else complaint(float(rms[row]), where)
        return found


@dataclass(frozen=True)
class Watched(Latent):
    """A latent that knows which of its rows went wrong; such rows come out as NaN."""

    health: Health | None = None
    levels: int = 0
    """Of the grid."""

    @cached_property
    def trouble(self) -> Mapping[int, str]:
        """Row: what happened, at which level; the first thing only. To ask is to wait for the device."""
        return {} if self.health is None else self.health.trouble(self.levels)


def place_of(level: int, way: int) -> int:
    """A level (-1 is the image) and a way as one number."""
    return (level + 1) * len(WAYS) + way


def said(place: int, levels: int) -> str:
    """A place in words."""
    level, way = divmod(place, len(WAYS))
    return f"{'the image' if level == 0 else f'level {level - 1} of {levels}'} {WAYS[way]}"


def complaint(rms: float, where: str) -> str:
    """One line about an RMS that cannot be."""
    what = "became NaN or infinite" if not math.isfinite(rms) else f"left the plausible range (RMS {rms:.3g})"
    return f"the latent {what} at {where}; use more steps, another solver or grid, a smaller step, or precision float32"
