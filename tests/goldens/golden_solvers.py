"""Runs of the diffusers library's schedulers on an exact Gaussian, repeated with odekit's solvers.

What belongs to a scheduler's loop and not to its formula is here: its timesteps, where it ends, and the order of each
step, which the library lowers towards the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from odekit.core.interfaces import Field
from odekit.core.schedule import NoiseSchedule, signal
from odekit.parts.inverters.ode import PriorField
from odekit.parts.priors.exact import GaussianPrior
from odekit.parts.solvers.deis import Deis, DeisOptions
from odekit.parts.solvers.dpm_solver import Slope, denoised_slope, second_order
from odekit.parts.solvers.dpmpp_2m import Dpmpp2m
from odekit.parts.solvers.history import integral
from odekit.parts.solvers.unipc import Unipc, UnipcOptions
from odekit.testing.goldens import Golden

NAME = re.compile(
    r"(?P<kind>deis|own_rhoab|unipc|dpmpp|dpm_single|dpmpp_single)_?(?P<order>\d)m?(?P<how>\w*?)"
    r"(_(?P<spacing>leading|trailing|linspace))?_n(?P<steps>\d+)(_f64)?"
)
SCHEDULE = NoiseSchedule.linear()
FEW = 15
"""Below this number of steps, DEIS and DPM++ 2M end with steps of lower order."""
Step = Callable[[int, Any, float], Any]


def timesteps(spacing: str, steps: int) -> list[int]:
    """The library's timesteps, highest first."""
    down = range(steps, 0, -1)
    if spacing == "linspace":
        return [int(t) for t in np.linspace(0, 999, steps + 1).round()[:0:-1]]
    return [k * (1000 // (steps + 1)) if spacing == "leading" else round(1000 * k / steps) - 1 for k in down]


def level(t: int) -> float:
    """rho at a trained timestep, without interpolation."""
    abar = float(SCHEDULE.abar[t])
    return float(np.sqrt((1 - abar) / abar))


def runs(golden: Golden) -> Mapping[str, Any]:
    """Every run that is named in the file; for the JSON file, its timesteps and orders."""
    if "x_T" not in golden.arrays:
        return described(golden)
    prior = GaussianPrior(golden.arrays["mu"], golden.arrays["S"], (3, 1, 1))
    start = torch.from_numpy(golden.arrays["x_T"]).double()
    made: dict[str, NDArray[Any]] = {}
    for name in golden.arrays:
        if exact := re.fullmatch(r"exact_t(\d+)_(clean|t0)", name):
            made[name] = prior.flow(start, float(exact[1]), 0.0 if exact[2] == "t0" else None).numpy()
        elif (found := NAME.fullmatch(name)) and not name.startswith("dpmpp_3m"):
            made[name] = run(PriorField(prior), start, **found.groupdict()).numpy()
    return made


def described(golden: Golden) -> Mapping[str, Any]:
    """Timesteps by spacing, and the orders of single-step runs."""
    made: dict[str, Any] = {}
    for name in golden.arrays:
        if found := re.fullmatch(r"grids/(\w+)_n(\d+)", name):
            made[name] = np.array(timesteps(found[1], int(found[2])))
        elif found := re.fullmatch(r"runs/dpm(pp)?_single(\d)(_sigmamin)?_n(\d+)/order_list", name):
            made[name] = np.array(single_orders(int(found[2]), int(found[4]), bool(found[1]) and not found[3]))
    return made


def run(field: Field, x: torch.Tensor, kind: str, order: str, how: str, spacing: str | None, steps: str) -> Any:
    """The last state of one run."""
    n, p = int(steps), int(order)
    ends_clean = (kind in ("unipc", "dpmpp", "dpmpp_single") and "sigmamin" not in how) or how == "_clean"
    rhos = [*(level(t) for t in timesteps(spacing or "linspace", n)), 0.0 if ends_clean else level(0)]
    y = x / signal(rhos[0])
    if "single" in kind:
        end = single(field, y, rhos, single_orders(p, n, ends_clean), p, data=kind == "dpmpp_single")
    else:
        end = multistep(field, y, rhos, step_rule(kind, p, n, how))
    return end * signal(rhos[-1])


def step_rule(kind: str, order: int, n: int, how: str) -> Callable[[int], Any]:
    """The solver of each step: lower orders at the end, as the library has them."""

    def at(i: int) -> int:
        lowered = kind == "unipc" or (kind in ("deis", "dpmpp") and n < FEW)
        return min(order, n - i) if lowered else order

    def solver(i: int) -> Any:
        if kind == "unipc":
            return Unipc(
                UnipcOptions.model_validate({"order": at(i), "predict": "noise" if "noise" in how else "data"})
            )
        if kind == "dpmpp":
            return Dpmpp2m() if at(i) > 1 else Forgetful()
        variable = "rho" if kind == "own_rhoab" else "log-rho"
        return Deis(DeisOptions.model_validate({"order": at(i), "variable": variable}))

    return solver


class Forgetful(Dpmpp2m):
    """The first-order step of DPM++."""

    def step(self, field: Field, carry: Any, rho: float) -> Any:
        """Without history."""
        return super().step(field, replace(carry, last=None), rho)


def multistep(field: Field, y: torch.Tensor, rhos: Sequence[float], solver: Callable[[int], Any]) -> Any:
    """The state y at the last of `rhos`."""
    carry = solver(0).start(field, y, rhos[0])
    for i, rho in enumerate(rhos[1:]):
        carry = solver(i).step(field, carry, rho)
    return carry.y


def single_orders(order: int, n: int, ends_clean: bool) -> list[int]:
    """The order of each evaluation of a single-step run: 1, 2, 3 is one step of third order over three levels."""
    whole, rest = divmod(n, order)
    last = [[1], [1, 2]][rest - 1] if rest else []
    if rest == 0:
        whole, last = whole - 1, [*range(1, order), 1]
    found = [*range(1, order + 1)] * whole + last
    return [*found[:-1], 1] if ends_clean else found


def single(
    field: Field, y: torch.Tensor, rhos: Sequence[float], orders: Sequence[int], order: int, data: bool
) -> torch.Tensor:
    """Steps over as many levels as their order, which evaluate at the levels between."""
    i = 0
    while i < len(orders):
        length = 1
        while i + length < len(orders) and orders[i + length] > 1:
            length += 1
        a, *between, b = rhos[i : i + length + 1]
        if length == 1:
            y = y + (b - a) * field(y, a)
        elif data:
            y = b * library_step(denoised_slope(field), y / a, [1 / rho for rho in (a, *between, b)])
        else:
            y = library_step(field, y, [a, *between, b])
        i += length
    return y


def library_step(slope: Slope, z: torch.Tensor, s: Sequence[float]) -> torch.Tensor:
    """The second order as in the paper, with r1 from the levels; the third order reaches its last stage by the second.

    The paper integrates the line through two slopes for that stage, and has r1 = 1/3, r2 = 2/3.
    """
    first = slope(z, s[0])
    if len(s) == 3:
        return second_order(slope, z, first, (s[0], s[1], s[2]))
    stage = second_order(slope, z, first, (s[0], s[1], s[2]))
    return z + integral([s[0], s[2]], [first, slope(stage, s[2])], s[3], log=True)
