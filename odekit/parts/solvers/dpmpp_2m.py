"""DPM-Solver++(2M): a two-step exponential integrator on the denoised picture."""

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
class Denoised(Carry):
    """The state, with the denoised picture `D = y - rho eps` of the point before it."""

    last: State | None = None
    last_rho: float = 0.0
    left: Tensor | None = None
    """(N, 1, 1, 1), true for rows that an edit took off the path of `last`."""


class Dpmpp2m:
    """`y' = (b/a) y + (1 - b/a) (D + (D - D_last) / (2 r))`, r = log(last/a) / log(a/b), for a step from a to b.

    Lu et al., arXiv:2211.01095, algorithm 2, written in y = x / sqrt(abar), where lambda = -log rho. Second order, one
    network call per step. Steps that touch rho = 0, where lambda is infinite, and steps without a point before them are
    of first order: there the formula without its last term is DDIM's.
    """

    order = 2
    nfe_per_step = 1.0
    reversible = False

    def __init__(self, options: Dpmpp2mOptions | None = None) -> None:
        self.options = options or Dpmpp2mOptions()

    def start(self, field: Field, y: State, rho: float) -> Denoised:
        """No point before this one."""
        return Denoised(y, rho)

    def step(self, field: Field, carry: Denoised, rho: float) -> Denoised:
        """One step, up or down."""
        eps = field(carry.y, carry.rho)
        if carry.rho == 0 or rho == 0:
            return Denoised(carry.y + (rho - carry.rho) * eps, rho)
        denoised = carry.y - carry.rho * eps
        mean, ratio = denoised, rho / carry.rho
        if carry.last is not None:
            r = math.log(carry.last_rho / carry.rho) / math.log(carry.rho / rho)
            change = (denoised - carry.last) / (2 * r)
            mean = denoised + (change if carry.left is None else change.masked_fill(carry.left, 0.0))
        return Denoised(ratio * carry.y + (1 - ratio) * mean, rho, denoised, carry.rho)

    def turn(self, carry: Denoised) -> Denoised:
        """Kept: the point below serves the way down as well as it served the way up (r = -1, the trapezoid rule)."""
        return carry

    def displace(self, carry: Denoised, delta: State) -> Denoised:
        """The point before belongs to the path that was left: the next step of rows that moved is of first order."""
        moved = (delta != 0).flatten(1).any(dim=1).view(-1, 1, 1, 1)
        left = moved if carry.left is None else moved | carry.left
        return replace(carry, y=carry.y + delta, left=left)
