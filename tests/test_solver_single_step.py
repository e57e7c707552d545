"""`dpm-solver` in the paper's own notation, and `heun`, which is the sampler of Karras et al.

That `dpm-solver`'s formulas repeat the diffusers library's schedulers is in test_parity.py.
"""

import itertools
import math

import pytest
import torch

from odekit.core.grid import make_grid
from odekit.core.schedule import NoiseSchedule, sigma, signal
from odekit.parts.solvers.dpm_solver import DpmSolver, DpmSolverOptions
from odekit.parts.solvers.heun import Heun
from odekit.testing import GaussianField, MixtureField, check_solver, log_grid, random_states, solve

OPTIONS = [DpmSolverOptions(order=order, predict=predict) for order in (2, 3) for predict in ("noise", "data")]


def name(options):
    return f"order {options.order}, {options.predict}"


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_the_conformance_kit_passes_with_all_options(options):
    check_solver(lambda: DpmSolver(options), tolerance=0.1)


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_the_exact_flow_of_a_gaussian_is_approached_with_the_stated_order(options, down):
    field, errors = GaussianField(), []
    for n in (64, 128):
        rhos = log_grid(n, 0.1, 10.0)[:: -1 if down else 1]
        y = random_states() * (rhos[0] + 1)
        end = solve(DpmSolver(options), field, y, rhos)
        errors.append(float((end - field.flow(y, rhos[0], rhos[-1])).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(options.order, abs=0.25)


class PapersNotation:
    """x, alpha, sigma and lambda = log(alpha / sigma) in place of y and rho."""

    def __init__(self, field):
        self.field = field

    def eps(self, x, lam):
        rho = math.exp(-lam)
        return self.field(x / signal(rho), rho)

    def denoised(self, x, lam):
        rho = math.exp(-lam)
        return (x - sigma(rho) * self.eps(x, lam)) / signal(rho)

    def noise_2(self, x, s, t):
        """arXiv:2206.00927, algorithm 1, r1 = 1/2."""
        h = t - s
        mid = s + h / 2
        u = alpha(mid) / alpha(s) * x - sig(mid) * math.expm1(h / 2) * self.eps(x, s)
        return alpha(t) / alpha(s) * x - sig(t) * math.expm1(h) * self.eps(u, mid)

    def noise_3(self, x, s, t):
        """arXiv:2206.00927, algorithm 2, r1 = 1/3 and r2 = 2/3."""
        r1, r2, h = 1 / 3, 2 / 3, t - s
        s1, s2, e = s + r1 * h, s + r2 * h, self.eps(x, s)
        u1 = alpha(s1) / alpha(s) * x - sig(s1) * math.expm1(r1 * h) * e
        d1 = self.eps(u1, s1) - e
        u2 = alpha(s2) / alpha(s) * x - sig(s2) * math.expm1(r2 * h) * e
        u2 = u2 - sig(s2) * r2 / r1 * (math.expm1(r2 * h) / (r2 * h) - 1) * d1
        d2 = self.eps(u2, s2) - e
        end = alpha(t) / alpha(s) * x - sig(t) * math.expm1(h) * e
        return end - sig(t) / r2 * (math.expm1(h) / h - 1) * d2

    def data_2(self, x, s, t):
        """arXiv:2211.01095, algorithm 1 (2S), r = 1/2."""
        h = t - s
        mid, d = s + h / 2, self.denoised(x, s)
        u = sig(mid) / sig(s) * x - alpha(mid) * math.expm1(-h / 2) * d
        return sig(t) / sig(s) * x - alpha(t) * math.expm1(-h) * self.denoised(u, mid)


def alpha(lam):
    return signal(math.exp(-lam))


def sig(lam):
    return sigma(math.exp(-lam))


@pytest.mark.parametrize("rhos", [(0.05, 0.2, 3.0, 20.0), (20.0, 3.0, 0.2, 0.05)], ids=["up", "down"])
@pytest.mark.parametrize("options", OPTIONS[:3], ids=name)
def test_steps_are_those_of_the_papers_algorithms(options, rhos):
    paper, y = PapersNotation(MixtureField()), random_states() * (1 + rhos[0])
    x, step = y * signal(rhos[0]), getattr(paper, f"{options.predict}_{options.order}")
    for a, b in itertools.pairwise(rhos):
        x = step(x, -math.log(a), -math.log(b))
    assert (solve(DpmSolver(options), MixtureField(), y, rhos) * signal(rhos[-1]) - x).abs().max() < 1e-13


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_steps_that_touch_the_image_are_euler_steps_of_one_call(options):
    field, y = GaussianField(), random_states()
    for a, b in ((0.0, 0.05), (0.05, 0.0)):
        field.calls = 0
        end = solve(DpmSolver(options), field, y, (a, b))
        assert field.calls == 1 and torch.equal(end, y + (b - a) * field(y, a))
    assert options.calls(10, 10, 2) == options.order * 18 + 2


def test_heun_is_the_deterministic_sampler_of_karras():
    """arXiv:2206.00364, algorithm 1, with sigma(t) = t and s(t) = 1, on its own grid (eq. 5) and down to 0.

    Its x is our y, its sigma our rho.
    """
    field, y = GaussianField(), 20 * random_states()
    levels = make_grid("karras", 18, NoiseSchedule.linear())
    n, (low, high) = len(levels), (levels.at(0), levels.at(17))
    t = [(high ** (1 / 7) + i / (n - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(n)] + [0.0]
    x = y
    for i in range(n):
        d = (x - denoised(field, x, t[i])) / t[i]
        ahead = x + (t[i + 1] - t[i]) * d
        if t[i + 1] != 0:
            d_ahead = (ahead - denoised(field, ahead, t[i + 1])) / t[i + 1]
            ahead = x + (t[i + 1] - t[i]) * (d / 2 + d_ahead / 2)
        x = ahead
    assert (solve(Heun(), field, y, [levels.at(i) for i in range(n - 1, -2, -1)]) - x).abs().max() < 1e-11


def denoised(field, y, rho):
    """D of a Gaussian: its posterior mean, without eps."""
    return (field.variance * y + rho**2 * field.mean) / (field.variance + rho**2)
