"""Reversible Heun: second order, one call per step, and its way down undoes its way up exactly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options


class ReversibleHeunOptions(Options):
    """`reversible-heun` has no options."""

    part = "reversible-heun"
    best_grid: ClassVar[GridName] = "log-snr"

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` steps up and `down` steps down: the step back to where the way began takes none."""
        return up + down - 1

    def edit_calls(self, levels: Collection[int], top: int, base: int) -> int:
        """Network calls that edits at these levels add: the slope is asked for anew, as it is anyhow at `base`."""
        return len(set(levels) - {base})


@dataclass(frozen=True)
class Pair(Carry):
    """The state y, its companion, and eps at the companion (None where it is not known yet)."""

    companion: State | None = None
    eps: State | None = None
    base: float | None = None
    """Where the first step left from: coming back there undoes that step."""


class ReversibleHeun:
    """With h = b - a: `c' = 2y - c + h e`, `e' = eps(c', b)`, `y' = y + h/2 (e + e')`.

    Kidger et al., arXiv:2105.13493, section 3. The same step with a and b exchanged takes (y', c', e') back to
    (y, c, e), whatever the network says.

    The first step up has no e yet. It takes the slope at its end instead, `c' = y`, `e' = eps(y, b)`, `y' = y + h e'`:
    of first order, one call, and undone without a call by `y = y' - h e'`, since e' is still known on the way back; so
    N levels above the image cost 2 N - 1 calls. The difference c - y that this leaves changes its sign in every step
    and dies out going up; going down it would grow, so a way that begins with a step down asks for e first (one call
    more).
    """

    order = 2
    nfe_per_step = 1.0
    reversible = True

    def __init__(self, options: ReversibleHeunOptions | None = None) -> None:
        self.options = options or ReversibleHeunOptions()

    def start(self, field: Field, y: State, rho: float) -> Pair:
        """No companion yet: the first step makes it."""
        return Pair(y, rho)

    def step(self, field: Field, carry: Pair, rho: float) -> Pair:
        """One step, up or down."""
        y, h = carry.y, rho - carry.rho
        if carry.companion is None and h > 0:
            eps = field(y, rho)
            return Pair(y + h * eps, rho, y, eps, carry.rho)
        companion = y if carry.companion is None else carry.companion
        eps = field(companion, carry.rho) if carry.eps is None else carry.eps
        if rho == carry.base or rho == 0:
            return Pair(y + h * eps, rho)
        companion = 2 * y - companion + h * eps
        new = field(companion, rho)
        return Pair(y + h / 2 * (eps + new), rho, companion, new, carry.base)

    def turn(self, carry: Pair) -> Pair:
        """The companion and its slope are what the way back needs."""
        return carry

    def displace(self, carry: Pair, delta: State) -> Pair:
        """State and companion move together; the slope is asked for anew (one call, in the next step)."""
        companion = None if carry.companion is None else carry.companion + delta
        return Pair(carry.y + delta, carry.rho, companion, None, carry.base)
