"""The observed order of convergence of a solver."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from odekit.core.interfaces import Solver
from odekit.testing.exact import MixtureField, random_states, solve

SHORT_STEPS = 6


def observed_order(make: Callable[[], Solver], down: bool = False, n: int = 96) -> float:
    """Order of convergence, from runs with n, 2n, 4n and 8n steps on a nonlinear field; needs no reference solution.

    All runs begin with the same short steps: the first steps of a multistep solver have no history and are of lower
    order, and the order of such a method is defined for given starting values. The orders of the three coarser and
    of the three finer runs are extrapolated to steps of length 0.
    """
    field, start = MixtureField(), random_states()
    ends = []
    for steps in (n, 2 * n, 4 * n, 8 * n):
        rhos = grid_with_short_start(steps, n, down)
        ends.append(solve(make(), field, start * (rhos[0] + 1), rhos))
    errors = [float((a - b).pow(2).mean().sqrt()) for a, b in itertools.pairwise(ends)]
    coarse, fine = (math.log2(a / b) for a, b in itertools.pairwise(errors))
    return 2 * fine - coarse


def grid_with_short_start(steps: int, coarsest: int, down: bool = False) -> list[float]:
    """A grid from rho 0.05 to 20, or back: first the same short steps whatever the number of `steps`, then `steps`.

    Uniform in log rho; the short steps are half as long as those of `8 * coarsest` steps.
    """
    low, high = (math.log(rho) for rho in (0.05, 20.0))
    first, last = (high, low) if down else (low, high)
    short = (last - first) / (16 * coarsest)
    begun = first + SHORT_STEPS * short
    rest = [begun + (last - begun) * i / steps for i in range(steps + 1)]
    return [math.exp(value) for value in (*(first + i * short for i in range(SHORT_STEPS)), *rest)]
