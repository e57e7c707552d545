"""DEIS: an exponential integrator on the polynomial through the last values of eps."""

from __future__ import annotations

from typing import ClassVar, Literal

from odekit.core.grid import GridName
from odekit.core.interfaces import Field, State
from odekit.core.options import Options
from odekit.parts.solvers.history import HistoryCarry, Point, for_each_row, integral, moved, usable


class DeisOptions(Options):
    """Options of `deis`."""

    part = "deis"
    best_grid: ClassVar[GridName] = "log-snr"
    order: Literal[1, 2, 3] = 2
    """Number of points of the polynomial; 1 is DDIM. On a network 2 measured better than 3, on exact priors 3."""
    variable: Literal["log-rho", "rho"] = "log-rho"
    """Variable of the polynomial: `log-rho` as in the diffusers library, `rho` as the paper's rho-AB."""


class Deis:
    """`y' = y + integral from a to b of p drho`, p the polynomial through eps at the last `order` points.

    Zhang and Chen, arXiv:2204.13902, in y = x / sqrt(abar) and rho: their rho-AB-DEIS takes p in rho (a
    multistep Adams-Bashforth method of variable steps), the library takes it in log rho. Order as many points, one
    network call per step. Points of the inversion serve as nodes of the first decoding step.

    Steps without history are of lower order. So are steps from rho = 0, where the network answers as at its lowest
    level, and, in log rho, steps to rho = 0.
    """

    nfe_per_step = 1.0
    reversible = False

    def __init__(self, options: DeisOptions | None = None) -> None:
        self.options = options or DeisOptions()
        self.order: int = self.options.order

    def start(self, field: Field, y: State, rho: float) -> HistoryCarry:
        """The state without history."""
        return HistoryCarry(y, rho)

    def step(self, field: Field, carry: HistoryCarry, rho: float) -> HistoryCarry:
        """One step in either direction."""
        y, here = carry.y, carry.rho
        log = self.options.variable == "log-rho"
        eps = field(y, here)
        if here == 0 or (rho == 0 and log):
            return HistoryCarry(y + (rho - here) * eps, rho)
        past = usable(carry.past, here)[: self.order - 1]

        def change(k: int) -> State:
            nodes, values = [here, *(p.rho for p in past[:k])], [eps, *(p.value for p in past[:k])]
            return integral(nodes, values, rho, log)

        kept = (Point(here, eps), *usable(carry.past, here))[: self.order]
        return HistoryCarry(y + for_each_row(past, change), rho, kept)

    def turn(self, carry: HistoryCarry) -> HistoryCarry:
        """Unchanged: the last points are also neighbours of the first decoding step."""
        return carry

    def displace(self, carry: HistoryCarry, delta: State) -> HistoryCarry:
        """Move the state. The history of rows that moved is no longer valid: their next step is first order."""
        return moved(carry, delta)
