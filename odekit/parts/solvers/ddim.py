"""DDIM: the explicit Euler method in (y, rho)."""

from __future__ import annotations

from typing import ClassVar, Literal

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options


class DdimOptions(Options):
    """Options of `ddim`."""

    part = "ddim"
    best_grid: ClassVar[GridName] = "uniform-t"
    label: Literal["source", "target"] = "source"
    """Timestep given to the network during inversion: that of the level a step starts from (`source`), or that of the
    level it ends at (`target`, as in diffusers' inverse scheduler). Decoding always uses the source."""


class Ddim:
    """`y' = y + (rho' - rho) eps(y, rho)`: ODEdit, eq. 8; Song et al., arXiv:2010.02502, eq. 14.

    First order, one network call per step.
    """

    order = 1
    nfe_per_step = 1.0
    reversible = False

    def __init__(self, options: DdimOptions | None = None) -> None:
        self.options = options or DdimOptions()

    def start(self, field: Field, y: State, rho: float) -> Carry:
        """The state alone."""
        return Carry(y, rho)

    def step(self, field: Field, carry: Carry, rho: float) -> Carry:
        """One Euler step in either direction."""
        use_target = self.options.label == "target" and rho > carry.rho
        eps = field(carry.y, carry.rho, rho if use_target else None)
        return Carry(carry.y.add(eps, alpha=rho - carry.rho), rho)

    def turn(self, carry: Carry) -> Carry:
        """Unchanged: there is no history."""
        return carry

    def displace(self, carry: Carry, delta: State) -> Carry:
        """Add delta to the state."""
        return Carry(carry.y + delta, carry.rho)
