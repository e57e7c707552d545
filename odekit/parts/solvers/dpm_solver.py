"""DPM-Solver: single-step exponential integrators of second and third order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options
from odekit.parts.solvers.history import integral


class DpmSolverOptions(Options):
    """Options of `dpm-solver`."""

    part = "dpm-solver"
    best_grid: ClassVar[GridName] = "log-snr"
    order: Literal[2, 3] = 3
    """Order, and network calls per step."""
    predict: Literal["noise", "data"] = "noise"
    """What is interpolated: eps (DPM-Solver), or the denoised image (DPM-Solver++, single-step)."""

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` inversion and `down` decoding steps; `image` of them touch rho = 0 and take one."""
        return self.order * (up + down) - (self.order - 1) * image


Slope = Callable[[State, float], State]
"""f of dz/ds = f(z, s)."""


class DpmSolver:
    """DPM-Solver-2 with r1 = 1/2, and DPM-Solver-3 with r1 = 1/3, r2 = 2/3, between neighbouring levels.

    Lu et al., arXiv:2206.00927, algorithms 1 and 2, in y = x / sqrt(abar) and lambda = -log rho; with `data`, the
    same on the denoised image (arXiv:2211.01095; order 2 is its algorithm 1, 2S). With s = rho, z = y, f = eps, or
    s = 1 / rho, z = y / rho, f = D, the ODE is dz/ds = f in both. Steps that touch rho = 0, where lambda is infinite,
    are Euler steps of one call.
    """

    reversible = False

    def __init__(self, options: DpmSolverOptions | None = None) -> None:
        self.options = options or DpmSolverOptions()
        self.order: int = self.options.order
        self.nfe_per_step = float(self.order)

    def start(self, field: Field, y: State, rho: float) -> Carry:
        """The state alone."""
        return Carry(y, rho)

    def step(self, field: Field, carry: Carry, rho: float) -> Carry:
        """One step in either direction."""
        y, here = carry.y, carry.rho
        if here == 0 or rho == 0:
            return Carry(y + (rho - here) * field(y, here), rho)
        if self.options.predict == "noise":
            return Carry(self._advance(field, y, here, rho), rho)
        return Carry(self._advance(denoised_slope(field), y / here, 1 / here, 1 / rho) * rho, rho)

    def _advance(self, slope: Slope, z: State, a: float, b: float) -> State:
        first, ratio = slope(z, a), b / a
        if self.order == 2:
            return second_order(slope, z, first, (a, a * math.sqrt(ratio), b))
        third = ratio ** (1 / 3)
        return third_order(slope, z, first, (a, a * third, a * third**2, b))

    def turn(self, carry: Carry) -> Carry:
        """Unchanged: there is no history."""
        return carry

    def displace(self, carry: Carry, delta: State) -> Carry:
        """Add delta to the state."""
        return Carry(carry.y + delta, carry.rho)


def denoised_slope(field: Field) -> Slope:
    """D as a function of z = y / rho and s = 1 / rho."""

    def slope(z: State, s: float) -> State:
        return (z - field(z / s, 1 / s)) / s

    return slope


def second_order(slope: Slope, z: State, first: State, s: tuple[float, float, float]) -> State:
    """z at s[2] from z and the slope `first` at s[0], with a call at s[1] (Lu et al., algorithm 1, any r1)."""
    a, inner, b = s
    r = math.log(inner / a) / math.log(b / a)
    second = slope(z + (inner - a) * first, inner)
    return z + (b - a) * (first + (second - first) / (2 * r))


def third_order(slope: Slope, z: State, first: State, s: tuple[float, float, float, float]) -> State:
    """z at s[3] from z and the slope `first` at s[0], with calls at s[1] and s[2] (Lu et al., algorithm 2)."""
    a, inner, outer, b = s
    second = slope(z + (inner - a) * first, inner)
    third = slope(z + integral([a, inner], [first, second], outer, log=True), outer)
    return z + integral([a, outer], [first, third], b, log=True)
