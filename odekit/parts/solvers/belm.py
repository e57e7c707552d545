"""BELM: explicit two-step methods whose way down undoes their way up exactly."""

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
    """`optimal`: the paper's, with which errors die out on the way back; latents of a network are far off the ODE's.
    `midpoint`: latents are the ODE's, and edits are answered as by it; errors grow on the way back."""

    @property
    def best_grid(self) -> GridName:
        """Measured best: `python -m benchmarks nfe --grid uniform-t --grid karras --grid log-snr`."""
        return "karras" if self.rule == "optimal" else "log-snr"

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` steps up and `down` steps down: the first step back takes none."""
        return up + down - 1

    def edit_calls(self, levels: Collection[int], top: int, base: int) -> int:
        """Network calls that edits at these levels add: one each, and the one that the first step back had saved."""
        return len(levels) + (top in levels)


@dataclass(frozen=True)
class Two(Carry):
    """The state, with the state before it (None at the start)."""

    last: State | None = None
    last_rho: float = 0.0
    edit: State | None = None
    """By how much the state was moved since the last step; the state before it has yet to follow."""


class Belm:
    """`y' = a y_last + (1 - a) y + (h + a h_last) eps(y, rho)`, h = rho' - rho, h_last = rho - last.

    Wang et al., arXiv:2410.07273, eq. 17 and 18, in y and rho: `optimal` is O-BELM, a = r^2 with r = h / h_last;
    `midpoint` is a = 1, the leapfrog rule (BDIA with gamma = 1). Second order (for a = 1 on grids whose steps change
    smoothly), one call per step. The relation between three neighbours is the same in both directions, so from the two
    uppermost states the way down returns to every lower one; the first step back finds its state stored. The first step
    has no state before it and is Euler's; of N levels above the image it is part of the relation that the way down ends
    with.

    The companion root of the relation is -a. Steps of r^2 > 1 fill the way up with an alternating error, fed by every
    step's own, that only the way down takes out again: on a network, latents are off the ODE's by a tenth of their RMS,
    edited or not, and no displacement of the companion can mend that. With a = 1 the error dies out on the way up, as
    the flow spreads, and what rounding adds grows on the way down, as with `reversible-heun`.
    """

    order = 2
    nfe_per_step = 1.0
    reversible = True

    def __init__(self, options: BelmOptions | None = None) -> None:
        self.options = options or BelmOptions()

    def start(self, field: Field, y: State, rho: float) -> Two:
        """No state before this one."""
        return Two(y, rho)

    def step(self, field: Field, carry: Two, rho: float) -> Two:
        """One step, up or down."""
        y, h = carry.y, rho - carry.rho
        if carry.last is None:
            return Two(y + h * field(y, carry.rho), rho, y, carry.rho)
        if rho == carry.last_rho and carry.edit is None:
            return Two(carry.last, rho, y, carry.rho)
        last, h_last, eps = carry.last, carry.rho - carry.last_rho, field(y, carry.rho)
        if carry.edit is not None:
            # The state before follows along the flow: its derivative in the direction of the edit, by a difference.
            turned = eps - field(y - carry.edit, carry.rho)
            last = last + carry.edit - h_last * turned
        a = (h / h_last) ** 2 if self.options.rule == "optimal" else 1.0
        return Two(a * last + (1 - a) * y + (h + a * h_last) * eps, rho, y, carry.rho)

    def turn(self, carry: Two) -> Two:
        """Both states are what the way back needs."""
        return carry

    def displace(self, carry: Two, delta: State) -> Two:
        """The state moves now; the state before it follows in the next step, which takes one call more."""
        if carry.last is None:
            return Two(carry.y + delta, carry.rho)
        return replace(carry, y=carry.y + delta, edit=delta if carry.edit is None else carry.edit + delta)
