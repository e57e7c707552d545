"""BELM: explicit two-step methods in which decoding undoes inversion exactly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options


class BelmOptions(Options):
    """Options of `belm`."""

    part = "belm"
    rule: Literal["optimal", "midpoint"] = "optimal"
    """`optimal`: the paper's; errors decay in decoding, but a network's latents are far from those of the ODE.
    `midpoint`: latents are those of the ODE and respond to edits as the ODE does; errors grow in decoding."""

    @property
    def best_grid(self) -> GridName:
        """Measured best: `python -m benchmarks nfe --grid uniform-t --grid karras --grid log-snr`."""
        return "karras" if self.rule == "optimal" else "log-snr"

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` inversion and `down` decoding steps; the first decoding step takes none."""
        return up + down - 1

    def edit_calls(self, levels: Collection[int], top: int, base: int) -> int:
        """Network calls that edits at these levels add: one each, and the call that the first decoding step saves."""
        return len(levels) + (top in levels)


@dataclass(frozen=True)
class TwoStepCarry(Carry):
    """The state and the previous state."""

    last: State | None = None
    """The previous state; None at the start."""
    last_rho: float = 0.0
    edit: State | None = None
    """Displacement of the state since the last step, which `last` does not contain yet."""


class Belm:
    """`y' = a y_last + (1 - a) y + (h + a h_last) eps(y, rho)`, h = rho' - rho, h_last = rho - last.

    Wang et al., arXiv:2410.07273, eq. 17 and 18, in y and rho: `optimal` is O-BELM, a = r^2 with r = h / h_last;
    `midpoint` is a = 1, the leapfrog rule (BDIA with gamma = 1). Second order (for a = 1 on grids whose steps change
    smoothly), one call per step. The relation between three neighbours is the same in both directions, so decoding
    reconstructs every lower state from the two uppermost ones; the first decoding step returns the stored state. The
    first step has no previous state and is an Euler step; with N levels above the image it is part of the relation that
    decoding ends with.

    The parasitic root of the relation is -a. Steps with r^2 > 1 add an alternating error during inversion, fed by the
    error of every step, which only decoding removes: with a network, latents are off the ODE's by a tenth of their RMS,
    edited or not, and no displacement of the previous state can correct that. With a = 1 the error decays during
    inversion, as the flow expands, and rounding errors grow during decoding, as with `reversible-heun`.
    """

    order = 2
    nfe_per_step = 1.0
    reversible = True

    def __init__(self, options: BelmOptions | None = None) -> None:
        self.options = options or BelmOptions()

    def start(self, field: Field, y: State, rho: float) -> TwoStepCarry:
        """The state without history."""
        return TwoStepCarry(y, rho)

    def step(self, field: Field, carry: TwoStepCarry, rho: float) -> TwoStepCarry:
        """One step in either direction."""
        y, h = carry.y, rho - carry.rho
        if carry.last is None:
            return TwoStepCarry(y + h * field(y, carry.rho), rho, y, carry.rho)
        if rho == carry.last_rho and carry.edit is None:
            return TwoStepCarry(carry.last, rho, y, carry.rho)
        last, h_last, eps = carry.last, carry.rho - carry.last_rho, field(y, carry.rho)
        if carry.edit is not None:
            # Move `last` along the flow: the derivative of eps in the direction of the edit, by a finite difference.
            eps_change = eps - field(y - carry.edit, carry.rho)
            last = last + carry.edit - h_last * eps_change
        a = (h / h_last) ** 2 if self.options.rule == "optimal" else 1.0
        return TwoStepCarry(a * last + (1 - a) * y + (h + a * h_last) * eps, rho, y, carry.rho)

    def turn(self, carry: TwoStepCarry) -> TwoStepCarry:
        """Unchanged: decoding needs both states."""
        return carry

    def displace(self, carry: TwoStepCarry, delta: State) -> TwoStepCarry:
        """Move the state now; the next step moves the previous state, with one extra call."""
        if carry.last is None:
            return TwoStepCarry(carry.y + delta, carry.rho)
        return replace(carry, y=carry.y + delta, edit=delta if carry.edit is None else carry.edit + delta)
