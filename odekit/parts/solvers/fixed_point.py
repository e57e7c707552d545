"""Implicit inversion: a step up solves for the state that DDIM's step down maps back to the current one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as Limits

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options

if TYPE_CHECKING:
    from torch import Tensor


class FixedPointOptions(Options):
    """Options of `fixed-point`."""

    part = "fixed-point"
    best_grid: ClassVar[GridName] = "log-snr"
    iterations: int = Limits(default=3, ge=1, le=100)
    """Network calls per inversion step; a decoding step takes one."""
    acceleration: Literal["none", "anderson"] = "anderson"
    """`anderson` mixes each iterate with the previous one, for each image by its own residuals."""

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` inversion and `down` decoding steps."""
        return up * self.iterations + down


@dataclass(frozen=True)
class ImplicitCarry(Carry):
    """The state during inversion, with what the initial guess of the next step is extrapolated from."""

    eps: State | None = None
    """The last eps of the previous step; None without history."""
    rate: State | None = None
    """Its change per unit of rho; None before the second step."""


class FixedPoint:
    """Inversion: z solves `z = y + (b - a) eps(z, b)`, so that DDIM's `z - (b - a) eps(z, b)` is y. Decoding: DDIM.

    Backward Euler, as in AIDI (Pan et al., arXiv:2309.04907, section 3.2): a fixed number of iterations of
    z <- y + h eps(z, b), with an initial guess from eps extrapolated in rho. They converge where h |d eps / dy| < 1;
    Anderson mixing with one step of memory (Walker and Ni, 2011, algorithm AA with m = 1) needs far fewer of them.
    """

    order = 1
    reversible = False

    def __init__(self, options: FixedPointOptions | None = None) -> None:
        self.options = options or FixedPointOptions()
        self.nfe_per_step = float(self.options.iterations)
        """Of an inversion step."""

    def start(self, field: Field, y: State, rho: float) -> ImplicitCarry:
        """The state without history."""
        return ImplicitCarry(y, rho)

    def step(self, field: Field, carry: ImplicitCarry, rho: float) -> ImplicitCarry:
        """Implicit for inversion, explicit for decoding."""
        y, h = carry.y, rho - carry.rho
        if h < 0:
            return ImplicitCarry(y.add(field(y, carry.rho), alpha=h), rho)
        z = y
        if carry.eps is not None:
            z = y + h * (carry.eps if carry.rate is None else carry.eps + h * carry.rate)
        previous: tuple[Tensor, Tensor] | None = None
        for _ in range(self.options.iterations):
            eps = field(z, rho)
            image = y + h * eps
            residual = image - z
            if previous is None or self.options.acceleration == "none":
                z = image
            else:
                z = anderson_mixed(image, residual, *previous)
            previous = image, residual
        return ImplicitCarry(z, rho, eps, None if carry.eps is None else (eps - carry.eps) / h)

    def turn(self, carry: ImplicitCarry) -> ImplicitCarry:
        """Drop the history: decoding is explicit."""
        return ImplicitCarry(carry.y, carry.rho)

    def displace(self, carry: ImplicitCarry, delta: State) -> ImplicitCarry:
        """Move the state; the history stays, since it only gives an initial guess."""
        return ImplicitCarry(carry.y + delta, carry.rho, carry.eps, carry.rate)


def anderson_mixed(image: Tensor, residual: Tensor, previous_image: Tensor, previous_residual: Tensor) -> Tensor:
    """The combination of two iterates whose linear model has the smallest residual, row by row."""
    change = residual - previous_residual
    norm = change.square().sum(dim=(1, 2, 3), keepdim=True)
    weight = (residual * change).sum(dim=(1, 2, 3), keepdim=True) / norm.clamp(min=1e-300)
    # Bounded, because residuals at the level of the network's rounding errors are noise, and so is their ratio.
    return image - weight.clamp(-10.0, 1.0) * (image - previous_image)
