"""Watches latents on their way: which picture left the plausible range, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from odekit.interfaces import Latent, State

PLAUSIBLE = 100.0
"""RMS of x beyond which no prior has anything to say: a latent's is about 1, a badly damaged picture's a few."""


@dataclass(frozen=True)
class Watched(Latent):
    """A latent that knows which of its rows went wrong; such rows come out as NaN."""

    trouble: Mapping[int, str] = field(default_factory=dict)
    """Row: what happened, at which level; the first thing only."""


def inspect(x: State, where: str, known: Mapping[int, str], carry: Any = None) -> Mapping[int, str]:
    """What is wrong with the rows of x (N, 3, H, W), after what was known before and what the solver itself gave up.

    `where` says level and way, such as "level 57 of 100 on the way up".
    """
    found = dict(known)
    for row, reason in getattr(carry, "failed", {}).items():
        found.setdefault(row, f"{reason} (at {where})")
    for row, rms in enumerate(x.flatten(1).pow(2).mean(dim=1).sqrt().tolist()):
        if row not in found and not rms <= PLAUSIBLE:
            found[row] = complaint(rms, where)
    return found


def complaint(rms: float, where: str) -> str:
    """One line about an RMS that cannot be."""
    what = "became NaN or infinite" if not math.isfinite(rms) else f"left the plausible range (RMS {rms:.3g})"
    return f"the latent {what} at {where}; use more steps, another solver or grid, a smaller step, or precision float32"
