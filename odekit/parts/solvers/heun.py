"""Heun's method: the trapezoidal rule with an Euler predictor."""

from __future__ import annotations

from typing import ClassVar

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options


class HeunOptions(Options):
    """`heun` has no options."""

    part = "heun"
    best_grid: ClassVar[GridName] = "log-snr"

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` inversion and `down` decoding steps; `image` of them touch rho = 0 and take one."""
        return 2 * (up + down) - image


class Heun:
    """`y' = y + h/2 (eps(y, rho) + eps(y + h eps(y, rho), rho'))`, h = rho' - rho.

    Karras et al., arXiv:2206.00364, algorithm 1. Second order, two network calls per step. Steps that touch rho = 0 are
    Euler steps of one call: the network cannot tell rho = 0 from its lowest level, so a second call there adds nothing.
    """

    order = 2
    nfe_per_step = 2.0
    reversible = False

    def __init__(self, options: HeunOptions | None = None) -> None:
        self.options = options or HeunOptions()

    def start(self, field: Field, y: State, rho: float) -> Carry:
        """The state alone."""
        return Carry(y, rho)

    def step(self, field: Field, carry: Carry, rho: float) -> Carry:
        """One step in either direction."""
        h = rho - carry.rho
        slope = field(carry.y, carry.rho)
        if rho > 0 and carry.rho > 0:
            slope = (slope + field(carry.y + h * slope, rho)) / 2
        return Carry(carry.y + h * slope, rho)

    def turn(self, carry: Carry) -> Carry:
        """Unchanged: there is no history."""
        return carry

    def displace(self, carry: Carry, delta: State) -> Carry:
        """Add delta to the state."""
        return Carry(carry.y + delta, carry.rho)
