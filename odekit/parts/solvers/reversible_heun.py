"""Reversible Heun: second order, one call per step, and decoding undoes inversion exactly."""

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
        """Network calls of `up` inversion and `down` decoding steps; the step back to the start takes none."""
        return up + down - 1

    def edit_calls(self, levels: Collection[int], top: int, base: int) -> int:
        """Network calls that edits at these levels add: eps is evaluated again, which `base` needs anyway."""
        return len(set(levels) - {base})


@dataclass(frozen=True)
class ReversibleHeunCarry(Carry):
    """The state y, its companion state c, and eps at the companion."""

    companion: State | None = None
    """None before the first step."""
    eps: State | None = None
    """None where it has to be evaluated."""
    base: float | None = None
    """The rho that the first step started from: a step that ends there undoes that step."""


class ReversibleHeun:
    """With h = b - a: `c' = 2y - c + h e`, `e' = eps(c', b)`, `y' = y + h/2 (e + e')`.

    Kidger et al., arXiv:2105.13493, section 3. The same step with a and b exchanged maps (y', c', e') back to
    (y, c, e), whatever the network returns.

    The first inversion step has no e yet. It takes the slope at its end instead: `c' = y`, `e' = eps(y, b)`,
    `y' = y + h e'`. It is first order and takes one call. `y = y' - h e'` undoes it without a call, since e' is still
    available in decoding, so N levels above the image cost 2 N - 1 calls. The difference c - y that the first step
    leaves changes its sign in every step. It decays during inversion and would grow during decoding, so a trajectory
    that begins with a step down evaluates e first (one more call).
    """

    order = 2
    nfe_per_step = 1.0
    reversible = True

    def __init__(self, options: ReversibleHeunOptions | None = None) -> None:
        self.options = options or ReversibleHeunOptions()

    def start(self, field: Field, y: State, rho: float) -> ReversibleHeunCarry:
        """The state alone: the first step makes the companion."""
        return ReversibleHeunCarry(y, rho)

    def step(self, field: Field, carry: ReversibleHeunCarry, rho: float) -> ReversibleHeunCarry:
        """One step in either direction."""
        y, h = carry.y, rho - carry.rho
        if carry.companion is None and h > 0:
            eps = field(y, rho)
            return ReversibleHeunCarry(y + h * eps, rho, y, eps, carry.rho)
        companion = y if carry.companion is None else carry.companion
        eps = field(companion, carry.rho) if carry.eps is None else carry.eps
        if rho == carry.base or rho == 0:
            return ReversibleHeunCarry(y + h * eps, rho)
        companion = 2 * y - companion + h * eps
        new_eps = field(companion, rho)
        return ReversibleHeunCarry(y + h / 2 * (eps + new_eps), rho, companion, new_eps, carry.base)

    def turn(self, carry: ReversibleHeunCarry) -> ReversibleHeunCarry:
        """Unchanged: decoding needs the companion and its eps."""
        return carry

    def displace(self, carry: ReversibleHeunCarry, delta: State) -> ReversibleHeunCarry:
        """Move state and companion together; the next step evaluates eps again (one call)."""
        companion = None if carry.companion is None else carry.companion + delta
        return ReversibleHeunCarry(carry.y + delta, carry.rho, companion, None, carry.base)
