"""Dormand-Prince 5(4): adaptive, each picture with steps of its own. The yardstick for the other solvers."""

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
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
FIFTH = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
DEPTH = 40
"""An interval is halved at most so often: smaller steps are lost in rounding."""
PER_STEP = 6
"""Calls of one try: the first slope is the last one of the step before."""


class Rk45Options(Options):
    """Options of `rk45`."""

    part = "rk45"
    best_grid: ClassVar[GridName] = "uniform-t"
    tolerance: float = Limits(default=1e-6, ge=1e-12, le=0.1)
    """RMS error of x allowed in one step, in units of x (a latent has RMS 1)."""
    max_calls: int = Limits(default=20_000, ge=10)
    """Network calls that one picture may take on its way up, and again on its way down; then it fails, and says so."""

    def calls(self, up: int, down: int, image: int) -> float:
        """Nobody knows before the run."""
        return math.nan


@dataclass(frozen=True)
class Adaptive(Carry):
    """The state, with what each row knows of its own steps."""

    slope: State | None = None
    """eps at (y, rho), where it is known."""
    sizes: tuple[float, ...] = ()
    """The step in rho that each row would take next; empty at the start."""
    calls: tuple[int, ...] = ()
    """Network calls of each row on this way."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Rows that were given up (they are NaN), with the reason."""


@dataclass
class Row:
    """One picture between two levels: where it is and how long its next step is, in units of interval / 2^DEPTH."""

    at: int
    halvings: int
    calls: int
    size: float

    @property
    def length(self) -> int:
        """Of the next step."""
        return 1 << (DEPTH - self.halvings)


class Rk45:
    """Dormand and Prince's pair (Hairer, Norsett, Wanner, Solving ODEs I, table II.5.2) with local extrapolation.

    Step sizes are the interval between two levels halved a number of times, chosen for each row by its own error. Rows
    that happen to stand at one place with one size share network calls; no row's result depends on another.
    """

    order = 5
    nfe_per_step = math.nan
    reversible = False

    def __init__(self, options: Rk45Options | None = None) -> None:
        self.options = options or Rk45Options()

    def start(self, field: Field, y: State, rho: float) -> Adaptive:
        """No step has been taken."""
        return Adaptive(y, rho, calls=(0,) * len(y))

    def step(self, field: Field, carry: Adaptive, rho: float) -> Adaptive:
        """From carry.rho to rho by as many steps as each row needs."""
        walk = Walk(field, carry, rho, self.options)
        while walk.go():
            pass
        return walk.end()

    def turn(self, carry: Adaptive) -> Adaptive:
        """Slope and sizes serve both ways; the count begins anew."""
        return replace(carry, calls=(0,) * len(carry.y))

    def displace(self, carry: Adaptive, delta: State) -> Adaptive:
        """The slope belonged to the old place."""
        return replace(carry, y=carry.y + delta, slope=None)


class Walk:
    """All rows on their way from one level to the next."""

    def __init__(self, field: Field, carry: Adaptive, rho: float, options: Rk45Options) -> None:
        self.field, self.start, self.rho, self.options = field, carry.rho, rho, options
        self.width = rho - carry.rho
        self.y, self.failed = carry.y.clone(), dict(carry.failed)
        known = carry.slope is not None
        self.slope = carry.slope.clone() if carry.slope is not None else field(carry.y, carry.rho)
        sizes = carry.sizes or (abs(self.width),) * len(self.y)
        self.rows = [
            Row(0, self._halvings(size), calls + (not known), size)
            for size, calls in zip(sizes, carry.calls, strict=True)
        ]

    def _halvings(self, size: float) -> int:
        return min(DEPTH, max(0, math.ceil(math.log2(abs(self.width) / size))))

    def go(self) -> bool:
        """One try of one group of rows; False where all have arrived or failed."""
        waiting = [i for i, row in enumerate(self.rows) if row.at < 1 << DEPTH and i not in self.failed]
        if not waiting:
            return False
        place = min((self.rows[i].at, -self.rows[i].halvings) for i in waiting)
        group = [i for i in waiting if (self.rows[i].at, -self.rows[i].halvings) == place]
        row = self.rows[group[0]]
        a = self.start + self.width * (row.at / (1 << DEPTH))
        end = row.at + row.length
        b = self.rho if end == 1 << DEPTH else self.start + self.width * (end / (1 << DEPTH))
        new, slope, error = self._try(a, b)
        errors = (error.flatten(1).pow(2).mean(dim=1).sqrt() * signal(max(a, b)) / self.options.tolerance).tolist()
        for i in group:
            self._judge(i, errors[i], new, slope, abs(b - a))
        return True

    def _try(self, a: float, b: float) -> tuple[Tensor, Tensor, Tensor]:
        h, slopes = b - a, [self.slope]
        for node, weights in zip(NODES, STAGES, strict=True):
            slopes.append(self.field(self.y + h * combine(weights, slopes), a + node * h))
        new = self.y + h * combine(FIFTH, slopes)
        slopes.append(self.field(new, b))
        gaps = [high - low for high, low in zip((*FIFTH, 0.0), FOURTH, strict=True)]
        return new, slopes[-1], h * combine(gaps, slopes)

    def _judge(self, i: int, error: float, new: Tensor, slope: Tensor, length: float) -> None:
        row = self.rows[i]
        row.calls += PER_STEP
        if not math.isfinite(error):
            self._fail(i, "the state became NaN or infinite")
            return
        factor = min(5.0, max(0.1, 0.9 * max(error, 1e-10) ** -0.2))
        if error <= 1:
            row.at += row.length
            row.size = length * factor
            self.y[i], self.slope[i] = new[i], slope[i]
            if factor >= 2 and row.at % (2 * row.length) == 0:
                row.halvings -= 1
        else:
            row.halvings += max(1, math.ceil(-math.log2(factor)))
        if row.halvings > DEPTH:
            self._fail(i, f"rk45 needs steps too small to take for tolerance {self.options.tolerance:g}")
        elif row.calls + PER_STEP > self.options.max_calls and row.at < 1 << DEPTH:
            limit = f"rk45 needs more than max_calls = {self.options.max_calls} network calls"
            self._fail(i, f"{limit} for tolerance {self.options.tolerance:g}; raise either")

    def _fail(self, i: int, reason: str) -> None:
        self.failed[i] = reason
        self.y[i] = math.nan

    def end(self) -> Adaptive:
        """The carry at the next level."""
        sizes = tuple(row.size for row in self.rows)
        calls = tuple(row.calls for row in self.rows)
        return Adaptive(self.y, self.rho, self.slope, sizes, calls, self.failed)


def combine(weights: tuple[float, ...] | list[float], slopes: list[Tensor]) -> Tensor:
    """The weighted sum of slopes."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = total + weight * slope
    return total
