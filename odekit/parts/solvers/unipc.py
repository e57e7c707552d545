"""UniPC: a multistep exponential integrator whose predicted states are corrected without further network calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from odekit.core.grid import GridName
from odekit.core.interfaces import Field, State
from odekit.core.options import Options
from odekit.parts.solvers.history import HistoryCarry, Point, all_behind, for_each_row, integral, moved, usable


class UnipcOptions(Options):
    """Options of `unipc`."""

    part = "unipc"
    best_grid: ClassVar[GridName] = "log-snr"
    order: Literal[1, 2, 3] = 2
    """p of the paper: points of the predictor; with the corrector, errors are of order p + 1."""
    predict: Literal["noise", "data"] = "noise"
    """What the polynomial goes through: eps, or the denoised image `D = y - rho eps`."""


@dataclass(frozen=True)
class PredictedCarry(HistoryCarry):
    """A predicted state, with what is needed to correct it once the field is known there."""

    base: State | None = None
    """The corrected state at `past[0].rho`, where the step started; None: nothing to correct."""
    points: int = 0
    """Points of the predictor, which the corrector uses besides the new one."""


class Unipc:
    """Predictor UniP-p and corrector UniC-p with B(h) = e^h - 1 (the paper's B2, `bh2` in the diffusers library).

    Zhao et al., arXiv:2302.04867, algorithms 1 and 2, in y = x / sqrt(abar) and lambda = -log rho. With s = rho, z = y,
    f = eps (`noise`), or s = 1 / rho, z = y / rho, f = D (`data`), the ODE is dz/ds = f. The predictor integrates the
    polynomial in log s through the last p values of f; the corrector repeats the step with the value at its end as
    a further point. That value is evaluated at the predicted state and serves the next step, so a step takes one
    call. Two points of the predictor, and the new one of a corrector without history, get the paper's coefficient 1/2.

    The order is p + 1 once there is history. The state between two steps is the predicted one. Steps that touch
    rho = 0 are first order and are not corrected; neither are steps after a turn whose predictor interpolates, nor
    states that an edit moved.
    """

    nfe_per_step = 1.0
    reversible = False

    def __init__(self, options: UnipcOptions | None = None) -> None:
        self.options = options or UnipcOptions()
        self.order: int = self.options.order + 1

    def start(self, field: Field, y: State, rho: float) -> PredictedCarry:
        """The state without history."""
        return PredictedCarry(y, rho)

    def step(self, field: Field, carry: PredictedCarry, rho: float) -> PredictedCarry:
        """Correct the state, then predict the next one, in either direction."""
        here, data = carry.rho, self.options.predict == "data"
        eps = field(carry.y, here)
        if here == 0:
            return PredictedCarry(carry.y + rho * eps, rho)
        value = carry.y - here * eps if data else eps
        y = carry.y if carry.base is None else self._corrected(carry, carry.base, value)
        if rho == 0:
            return PredictedCarry(value if data else y - here * eps, rho)
        past = usable(carry.past, here)[: self.options.order - 1]
        predicted = for_each_row(past, lambda k: self._travel(y, value, here, past[:k], rho))
        kept = (Point(here, value), *usable(carry.past, here))[: self.options.order]
        return PredictedCarry(predicted, rho, kept, y, 1 + len(past))

    def _travel(
        self, y: State, value: State, start: float, past: tuple[Point, ...], to: float, end: State | None = None
    ) -> State:
        """From `start` to `to` with the values there and at past points; with `end`, the value at `to`, corrected."""
        nodes, values = [start, *(p.rho for p in past)], [value, *(p.value for p in past)]
        if end is not None:
            nodes, values = [*nodes, to], [*values, end]
        data = self.options.predict == "data"
        s = [1 / node for node in nodes] if data else nodes
        s_to = 1 / to if data else to
        if len(s) == 2:
            r = math.log(s[1] / s[0]) / math.log(s_to / s[0])
            change = (s_to - s[0]) * (values[0] + (values[1] - values[0]) / (2 * r))
        else:
            change = integral(s, values, s_to, log=True)
        return to / start * y + to * change if data else y + change

    def _corrected(self, carry: PredictedCarry, base: State, end: State) -> State:
        """The state at carry.rho: the step from `base` again, with the value `end` at its end."""
        past = carry.past[: carry.points]

        def state(k: int) -> State:
            # No point: the row was edited. Points ahead: the predictor interpolated, and the new point is one of them.
            if k == 0 or not all_behind(past[1:k], past[0].rho, carry.rho):
                return carry.y
            return self._travel(base, past[0].value, past[0].rho, past[1:k], carry.rho, end)

        return for_each_row(past, state)

    def turn(self, carry: PredictedCarry) -> PredictedCarry:
        """Unchanged: the first decoding step corrects the highest state, and has the last points as neighbours."""
        return carry

    def displace(self, carry: PredictedCarry, delta: State) -> PredictedCarry:
        """Move the state. Rows that moved are not corrected there, and their next step is first order."""
        return moved(carry, delta)
