"""DPM-Solver++(2M): a two-step exponential integrator on the denoised image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options

if TYPE_CHECKING:
    from torch import Tensor


class Dpmpp2mOptions(Options):
    """`dpmpp-2m` has no options."""

    part = "dpmpp-2m"
    best_grid: ClassVar[GridName] = "log-snr"


@dataclass(frozen=True)
class MultistepCarry(Carry):
    """The state, with the denoised image `D = y - rho eps` of the previous point."""

    last: State | None = None
    """D at the previous point; None without history."""
    last_rho: float = 0.0
    edited: Tensor | None = None
    """bool (N, 1, 1, 1): rows that an edit moved off the trajectory of `last`."""


class Dpmpp2m:
    """`y' = (b/a) y + (1 - b/a) (D + (D - D_last) / (2 r))`, r = log(last/a) / log(a/b), for a step from a to b.

    Lu et al., arXiv:2211.01095, algorithm 2, written in y = x / sqrt(abar), where lambda = -log rho. Second order, one
    network call per step. Steps that touch rho = 0, where lambda is infinite, and steps without a previous point are
    first order: without its last term the formula is DDIM's.
    """

    order = 2
    nfe_per_step = 1.0
    reversible = False

    def __init__(self, options: Dpmpp2mOptions | None = None) -> None:
        self.options = options or Dpmpp2mOptions()

    def start(self, field: Field, y: State, rho: float) -> MultistepCarry:
        """The state without history."""
        return MultistepCarry(y, rho)

    def step(self, field: Field, carry: MultistepCarry, rho: float) -> MultistepCarry:
        """One step in either direction."""
        eps = field(carry.y, carry.rho)
        if carry.rho == 0 or rho == 0:
            return MultistepCarry(carry.y + (rho - carry.rho) * eps, rho)
        denoised = carry.y - carry.rho * eps
        extrapolated, ratio = denoised, rho / carry.rho
        if carry.last is not None:
            r = math.log(carry.last_rho / carry.rho) / math.log(carry.rho / rho)
            change = (denoised - carry.last) / (2 * r)
            extrapolated = denoised + (change if carry.edited is None else change.masked_fill(carry.edited, 0.0))
        return MultistepCarry(ratio * carry.y + (1 - ratio) * extrapolated, rho, denoised, carry.rho)

    def turn(self, carry: MultistepCarry) -> MultistepCarry:
        """Unchanged: the previous point is also a neighbour of the first decoding step (r = -1, trapezoidal rule)."""
        return carry

    def displace(self, carry: MultistepCarry, delta: State) -> MultistepCarry:
        """Move the state. The history of rows that moved is no longer valid: their next step is first order."""
        moved = (delta != 0).flatten(1).any(dim=1).view(-1, 1, 1, 1)
        edited = moved if carry.edited is None else moved | carry.edited
        return replace(carry, y=carry.y + delta, edited=edited)
