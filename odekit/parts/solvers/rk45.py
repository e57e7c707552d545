"""Dormand-Prince 5(4): adaptive, with separate step sizes for each image. The reference for the other solvers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field as Limits

from odekit.core.grid import GridName
from odekit.core.interfaces import Carry, Field, State
from odekit.core.options import Options
from odekit.core.schedule import signal

if TYPE_CHECKING:
    from torch import Tensor

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
STAGE_WEIGHTS = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
FIFTH_ORDER = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
FOURTH_ORDER = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
MAX_HALVINGS = 40
"""Maximum number of halvings of an interval: smaller steps are lost in rounding."""
CALLS_PER_STEP = 6
"""Network calls of one trial step: its first slope is the last slope of the previous step."""


class Rk45Options(Options):
    """Options of `rk45`."""

    part = "rk45"
    best_grid: ClassVar[GridName] = "uniform-t"
    tolerance: float = Limits(default=1e-6, ge=1e-12, le=0.1)
    """RMS error of x allowed in one step, in units of x (a latent has RMS 1)."""
    max_calls: int = Limits(default=20_000, ge=10)
    """Network calls allowed per image for inversion, and again for decoding; an image that needs more fails."""

    def calls(self, up: int, down: int, image: int) -> float:
        """NaN: unknown before the run."""
        return math.nan


@dataclass(frozen=True)
class AdaptiveCarry(Carry):
    """The state, with the step size, calls and failure of each row."""

    slope: State | None = None
    """eps at (y, rho); None where it has to be evaluated."""
    sizes: tuple[float, ...] = ()
    """Proposed next step in rho of each row; empty at the start."""
    calls: tuple[int, ...] = ()
    """Network calls of each row in this direction."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Rows that failed (their state is NaN), with the reason."""


@dataclass
class RowProgress:
    """One row between two levels. Integer positions are in units of interval / 2^MAX_HALVINGS."""

    position: int
    halvings: int
    """Of the interval, which gives the next step."""
    calls: int
    size: float
    """Proposed next step in rho."""

    @property
    def length(self) -> int:
        """Integer length of the next step."""
        return 1 << (MAX_HALVINGS - self.halvings)


class Rk45:
    """Dormand and Prince's pair (Hairer, Norsett, Wanner, Solving ODEs I, table II.5.2) with local extrapolation.

    A step is the interval between two levels halved a number of times, chosen for each row by its own error. Rows at
    the same position with the same step share network calls; no row's result depends on another row.
    """

    order = 5
    nfe_per_step = math.nan
    reversible = False

    def __init__(self, options: Rk45Options | None = None) -> None:
        self.options = options or Rk45Options()

    def start(self, field: Field, y: State, rho: float) -> AdaptiveCarry:
        """The state without history."""
        return AdaptiveCarry(y, rho, calls=(0,) * len(y))

    def step(self, field: Field, carry: AdaptiveCarry, rho: float) -> AdaptiveCarry:
        """From carry.rho to rho, in as many steps as each row needs."""
        integration = Integration(field, carry, rho, self.options)
        while integration.advance():
            pass
        return integration.carry()

    def turn(self, carry: AdaptiveCarry) -> AdaptiveCarry:
        """Slope and step sizes hold in both directions; the count of calls starts again at 0."""
        return replace(carry, calls=(0,) * len(carry.y))

    def displace(self, carry: AdaptiveCarry, delta: State) -> AdaptiveCarry:
        """Move the state; its slope has to be evaluated again."""
        return replace(carry, y=carry.y + delta, slope=None)


class Integration:
    """All rows between one level and the next."""

    def __init__(self, field: Field, carry: AdaptiveCarry, rho: float, options: Rk45Options) -> None:
        self.field, self.start, self.rho, self.options = field, carry.rho, rho, options
        self.width = rho - carry.rho
        self.y, self.failed = carry.y.clone(), dict(carry.failed)
        self.slope = field(carry.y, carry.rho) if carry.slope is None else carry.slope.clone()
        sizes = carry.sizes or (abs(self.width),) * len(self.y)
        self.rows = [
            RowProgress(0, self._halvings(size), calls + (carry.slope is None), size)
            for size, calls in zip(sizes, carry.calls, strict=True)
        ]

    def _halvings(self, size: float) -> int:
        return min(MAX_HALVINGS, max(0, math.ceil(math.log2(abs(self.width) / size))))

    def advance(self) -> bool:
        """One trial step of one group of rows; False when all rows are done or failed."""
        pending = [i for i, row in enumerate(self.rows) if row.position < 1 << MAX_HALVINGS and i not in self.failed]
        if not pending:
            return False
        first = min((self.rows[i].position, -self.rows[i].halvings) for i in pending)
        group = [i for i in pending if (self.rows[i].position, -self.rows[i].halvings) == first]
        row = self.rows[group[0]]
        a = self.start + self.width * (row.position / (1 << MAX_HALVINGS))
        end = row.position + row.length
        b = self.rho if end == 1 << MAX_HALVINGS else self.start + self.width * (end / (1 << MAX_HALVINGS))
        new, slope, error = self._trial_step(a, b)
        errors = (error.flatten(1).pow(2).mean(dim=1).sqrt() * signal(max(a, b)) / self.options.tolerance).tolist()
        for i in group:
            self._accept_or_halve(i, errors[i], new, slope, abs(b - a))
        return True

    def _trial_step(self, a: float, b: float) -> tuple[Tensor, Tensor, Tensor]:
        """State and slope at b, and the error estimate, for a step of all rows from a to b."""
        h, slopes = b - a, [self.slope]
        for node, weights in zip(NODES, STAGE_WEIGHTS, strict=True):
            slopes.append(self.field(self.y + h * weighted_sum(weights, slopes), a + node * h))
        new = self.y + h * weighted_sum(FIFTH_ORDER, slopes)
        slopes.append(self.field(new, b))
        differences = [high - low for high, low in zip((*FIFTH_ORDER, 0.0), FOURTH_ORDER, strict=True)]
        return new, slopes[-1], h * weighted_sum(differences, slopes)

    def _accept_or_halve(self, i: int, error: float, new: Tensor, slope: Tensor, length: float) -> None:
        row = self.rows[i]
        row.calls += CALLS_PER_STEP
        if not math.isfinite(error):
            self._fail(i, "the state became NaN or infinite")
            return
        factor = min(5.0, max(0.1, 0.9 * max(error, 1e-10) ** -0.2))
        if error <= 1:
            row.position += row.length
            row.size = length * factor
            self.y[i], self.slope[i] = new[i], slope[i]
            if factor >= 2 and row.position % (2 * row.length) == 0:
                row.halvings -= 1
        else:
            row.halvings += max(1, math.ceil(-math.log2(factor)))
        if row.halvings > MAX_HALVINGS:
            self._fail(i, f"rk45 needs steps below the rounding error for tolerance {self.options.tolerance:g}")
        elif row.calls + CALLS_PER_STEP > self.options.max_calls and row.position < 1 << MAX_HALVINGS:
            limit = f"rk45 needs more than max_calls = {self.options.max_calls} network calls"
            self._fail(i, f"{limit} for tolerance {self.options.tolerance:g}; increase max_calls or tolerance")

    def _fail(self, i: int, reason: str) -> None:
        self.failed[i] = reason
        self.y[i] = math.nan

    def carry(self) -> AdaptiveCarry:
        """The carry at the level that was reached."""
        sizes = tuple(row.size for row in self.rows)
        calls = tuple(row.calls for row in self.rows)
        return AdaptiveCarry(self.y, self.rho, self.slope, sizes, calls, self.failed)


def weighted_sum(weights: tuple[float, ...] | list[float], slopes: list[Tensor]) -> Tensor:
    """Sum of weights times slopes."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = total + weight * slope
    return total
