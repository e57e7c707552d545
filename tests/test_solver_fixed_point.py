"""Implicit inversion: it undoes DDIM's own way down, the better the more it iterates."""

import pytest
import torch

from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim
from odekit.parts.solvers.fixed_point import FixedPoint, FixedPointOptions
from odekit.testing import GaussianField, GaussianModel, MixtureField, batch_noise, psnr, random_states


def round_trip(steps, **options):
    prior, clean = GaussianModel(4), random_states()
    inverter = OdeInverter(Ode(steps=steps, grid="uniform-t"), prior, FixedPoint(FixedPointOptions(**options)))
    latent = inverter.invert(clean, batch_noise(3))
    while latent.level >= 0:
        latent = inverter.descend(latent, batch_noise(3))
    return psnr(latent.x, clean, peak=2.0), prior.calls


def test_a_step_up_is_the_closed_form_of_the_implicit_step():
    """z' - mu = (z - mu) / (1 - h q' / (S + q'^2)) on a Gaussian."""
    field, y, a, b = GaussianField(), random_states(), 0.3, 0.45
    solver = FixedPoint(FixedPointOptions(iterations=60))
    z = solver.step(field, solver.start(field, y, a), b).y
    exact = field.mean + (y - field.mean) / (1 - (b - a) * b / (field.variance + b * b))
    assert (z - exact).abs().max() < 1e-12


def test_the_way_down_is_ddims():
    field, y = MixtureField(), random_states()
    down = [solver.step(field, solver.start(field, y, 0.8), 0.5).y for solver in (FixedPoint(), Ddim())]
    assert torch.equal(*down)


def test_more_iterations_bring_a_better_round_trip_up_to_rounding():
    found = [round_trip(50, iterations=k)[0] for k in (1, 2, 3, 6, 12)]
    assert found == sorted(found)
    assert found[-1] > 250


def test_acceleration_pays():
    """As many network calls, many dB more."""
    for iterations in (2, 3):
        plain = round_trip(50, iterations=iterations, acceleration="none")[0]
        assert round_trip(50, iterations=iterations)[0] > plain + 15


@pytest.mark.parametrize("iterations", [1, 4])
def test_calls_are_iterations_up_and_one_down(iterations):
    assert round_trip(10, iterations=iterations)[1] == FixedPointOptions(iterations=iterations).calls(10, 10, 2)
    assert FixedPoint(FixedPointOptions(iterations=iterations)).nfe_per_step == iterations


def test_at_the_solution_acceleration_leaves_the_state_alone():
    """Residuals of zero have no ratio; a spare grey row of a batch is such a case."""
    y = torch.zeros((1, 3, 4, 4), dtype=torch.float64)
    solver = FixedPoint()
    carry = solver.step(MixtureField(), solver.start(MixtureField(), y, 0.1), 0.4)
    assert torch.equal(carry.y, y)
