"""What multistep solvers share: past values of the field, and the weights that integrate a polynomial through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from odekit.core.interfaces import Carry, State

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Point:
    """A value at one noise level of the trajectory."""

    rho: float
    value: State
    stale: Tensor | None = None
    """bool (N, 1, 1, 1): rows that an edit has moved off the trajectory of this value since; None: no row."""


@dataclass(frozen=True)
class HistoryCarry(Carry):
    """The state and the last points of its trajectory, newest first."""

    past: tuple[Point, ...] = ()


HistoryT = TypeVar("HistoryT", bound=HistoryCarry)


def moved(carry: HistoryT, delta: State) -> HistoryT:
    """The carry after an edit: all points are stale for rows with a non-zero delta, and stay valid for the others."""
    edited = (delta != 0).flatten(1).any(dim=1).view(-1, 1, 1, 1)
    past = tuple(replace(p, stale=edited if p.stale is None else p.stale | edited) for p in carry.past)
    return replace(carry, y=carry.y + delta, past=past)


def usable(past: Sequence[Point], rho: float) -> tuple[Point, ...]:
    """The points beside `rho`. After a turn, points of the inversion lie ahead, one of them at the next level each."""
    return tuple(point for point in past if point.rho != rho)


def all_behind(past: Sequence[Point], rho: float, to: float) -> bool:
    """Whether a step from `rho` to `to` leaves all these points behind."""
    return all((point.rho - rho) * (to - rho) < 0 for point in past)


def for_each_row(past: Sequence[Point], make: Callable[[int], State]) -> State:
    """`make(k)` for rows whose first k points are valid, k at most len(past); rows do not influence each other."""
    import torch

    result = make(len(past))
    for k in reversed(range(len(past))):
        stale = past[k].stale
        if stale is not None:
            result = torch.where(stale, make(k), result)
    return result


def integral(nodes: Sequence[float], values: Sequence[State], to: float, log: bool) -> State:
    """The integral over s from `nodes[0]` to `to` of the polynomial in s, or in log s, through (node, value)."""
    weights = quadrature(nodes, to, log)
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def quadrature(nodes: Sequence[float], to: float, log: bool) -> list[float]:
    """The weights w of `integral`: `sum_j w_j p(s_j)` is exact for polynomials p of degree len(nodes) - 1.

    With u = (x - x_0) / X, x = s or log s, and X the value of x - x_0 at the end, the weights solve
    `sum_j w_j u_j^k = m_k`, `m_k = integral of u^k ds`. In log s, integration by parts gives
    `m_k = s_end - k m_(k-1) / X`.
    """
    width = to - nodes[0]
    if len(nodes) == 1:
        return [width]
    if log:
        span = math.log1p(width / nodes[0])  # accurate for short steps, too
        u = [math.log1p((node - nodes[0]) / nodes[0]) / span for node in nodes]
        moments = [width]
        for k in range(1, len(nodes)):
            moments.append(to - k * moments[-1] / span)
    else:
        u = [(node - nodes[0]) / width for node in nodes]
        moments = [width / (k + 1) for k in range(len(nodes))]
    solved = np.linalg.solve(np.vander(u, increasing=True).T, np.array(moments))
    return [float(weight) for weight in solved]
