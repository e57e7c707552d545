"""Implicit inversion: a step up looks for the state that DDIM's own step down would take back."""

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
    """Network calls of a step up; a step down takes one."""
    acceleration: Literal["none", "anderson"] = "anderson"
    """`anderson` mixes each iterate with the one before, for each picture by its own residuals."""

    def calls(self, up: int, down: int, image: int) -> int:
        """Network calls of `up` steps up and `down` steps down."""
        return up * self.iterations + down


@dataclass(frozen=True)
class Guess(Carry):
    """The state on its way up, with what the next step starts to iterate from (None where nothing is known)."""

    eps: State | None = None
    """The last eps of the step that led here."""
    rate: State | None = None
    """Its change per rho."""


class FixedPoint:
    """Up: z solves `z = y + (b - a) eps(z, b)`, so that DDIM's `z - (b - a) eps(z, b)` is y. Down: DDIM.

    Backward Euler upwards, as in AIDI (Pan et al., arXiv:2309.04907, section 3.2); a fixed number of iterations of
    z <- y + h eps(z, b), from eps extrapolated in rho. They converge where h |d eps / dy| < 1; Anderson's mixing with
    one step of memory (Walker and Ni, 2011, algorithm AA with m = 1) needs far fewer of them.
    """

    order = 1
    reversible = False

    def __init__(self, options: FixedPointOptions | None = None) -> None:
        self.options = options or FixedPointOptions()
        self.nfe_per_step = float(self.options.iterations)
        """Of a step up."""

    def start(self, field: Field, y: State, rho: float) -> Guess:
        """Nothing is known of eps."""
        return Guess(y, rho)

    def step(self, field: Field, carry: Guess, rho: float) -> Guess:
        """Implicit on the way up, explicit on the way down."""
        y, h = carry.y, rho - carry.rho
        if h < 0:
            return Guess(y.add(field(y, carry.rho), alpha=h), rho)
        z = y
        if carry.eps is not None:
            z = y + h * (carry.eps if carry.rate is None else carry.eps + h * carry.rate)
        before: tuple[Tensor, Tensor] | None = None
        for _ in range(self.options.iterations):
            eps = field(z, rho)
            image = y + h * eps
            residual = image - z
            z = image if before is None or self.options.acceleration == "none" else mixed(image, residual, *before)
            before = image, residual
        return Guess(z, rho, eps, None if carry.eps is None else (eps - carry.eps) / h)

    def turn(self, carry: Guess) -> Guess:
        """The way down is explicit: it starts from the state alone."""
        return Guess(carry.y, carry.rho)

    def displace(self, carry: Guess, delta: State) -> Guess:
        """The state is all there is to move; the guess stays, it is only where iterations begin."""
        return Guess(carry.y + delta, carry.rho, carry.eps, carry.rate)


def mixed(image: Tensor, residual: Tensor, image_before: Tensor, residual_before: Tensor) -> Tensor:
    """The combination of two iterates whose linear model has the least residual, row by row."""
    change = residual - residual_before
    size = change.square().sum(dim=(1, 2, 3), keepdim=True)
    share = (residual * change).sum(dim=(1, 2, 3), keepdim=True) / size.clamp(min=1e-300)
    # Bounded, since at the network's rounding the residuals are noise and their ratio says nothing.
    return image - share.clamp(-10.0, 1.0) * (image - image_before)
