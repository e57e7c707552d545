"""Every registered solver against the exact flow, and DDIM against its own closed form."""

import math

import pytest
import torch

from odekit.core.grid import make_grid
from odekit.core.schedule import NoiseSchedule
from odekit.parts.installed import catalog
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.belm import Belm, BelmOptions
from odekit.parts.solvers.ddim import Ddim, DdimOptions
from odekit.testing import (
    GaussianField,
    GaussianModel,
    batch_noise,
    check_inverter,
    check_row_independence,
    check_solver,
    psnr,
    random_states,
)

SOLVERS = sorted(name for kind, name in catalog().entries if kind == "solver")


@pytest.mark.parametrize("name", SOLVERS)
def test_a_registered_solver_keeps_the_rules(name):
    entry = catalog().get("solver", name)
    check_solver(lambda: entry.load()(entry.options()), tolerance=0.1)


def test_belms_other_rule_keeps_them_too():
    check_solver(lambda: Belm(BelmOptions(rule="midpoint")), tolerance=0.1)


class Careless(Ddim):
    """Moves every row when one is edited."""

    def displace(self, carry, delta):
        return super().displace(carry, delta + 1e-9 * delta.abs().max())


class Deaf(Ddim):
    """Edits do not reach it."""

    def displace(self, carry, delta):
        return carry


@pytest.mark.parametrize("solver, said", [(Careless, "changes the bytes of one"), (Deaf, "has no effect")])
def test_the_kit_notices_edits_that_go_astray(solver, said):
    with pytest.raises(AssertionError, match=said):
        check_row_independence(solver)


def test_ddim_multiplies_by_the_exact_discrete_factors():
    """z' - mu = (z - mu) (1 + (q' - q) q / (S + q^2)), step after step, up and down (to 1e-12)."""
    field, y = GaussianField(), random_states()
    rhos = [0.0, *make_grid("uniform-t", 100, NoiseSchedule.linear()).rho]
    solver, factor = Ddim(), torch.ones_like(field.variance)
    carry = solver.start(field, y, 0.0)
    for way in (rhos, rhos[::-1]):
        for q, to in zip(way, way[1:], strict=False):
            carry = solver.step(field, carry, to)
            factor = factor * (1 + (to - q) * q / (field.variance + q * q))
            expected = field.mean + factor * (y - field.mean)
            assert ((carry.y - expected).abs() / expected.abs().clamp(min=1)).max() < 1e-12


def test_the_way_down_by_an_implicit_step_would_undo_ddim_exactly():
    """The closed form of the implicit step is the inverse of the explicit one: the yardstick for other solvers."""
    s, q, to = 0.5, 0.3, 0.9
    up = 1 + (to - q) * q / (s + q * q)
    down = 1 / (1 - (q - to) * q / (s + q * q))
    assert up * down == pytest.approx(1.0, abs=1e-15)


def test_labels_of_the_target_level_are_passed_only_on_the_way_up():
    seen = []

    def field(y, rho, label=None):
        seen.append((rho, label))
        return y

    solver = Ddim(DdimOptions(label="target"))
    carry = solver.step(field, solver.start(field, torch.zeros(1), 0.1), 0.4)
    solver.step(field, solver.turn(carry), 0.1)
    assert seen == [(0.1, 0.4), (0.4, None)]


def invert_and_return(options, solver, clean):
    prior = GaussianModel(4)
    inverter = OdeInverter(options, prior, solver)
    latent = inverter.invert(clean, batch_noise(len(clean)))
    top = latent.x
    while latent.level >= 0:
        latent = inverter.descend(latent, batch_noise(len(clean)))
    return latent.x, top, prior.calls


def test_a_grid_of_n_levels_takes_n_calls_up_and_n_down():
    assert invert_and_return(Ode(steps=25), Ddim(), random_states())[2] == 50


def test_starting_at_the_first_level_saves_a_call():
    assert invert_and_return(Ode(steps=25, start="first-level"), Ddim(), random_states())[2] == 49


@pytest.mark.parametrize("options", [Ode(steps=100), Ode(steps=100, start="first-level")])
def test_a_round_trip_returns_the_input_as_well_as_first_order_allows(options):
    clean = random_states()
    coarse = psnr(invert_and_return(options.model_copy(update={"steps": 50}), Ddim(), clean)[0], clean, peak=2.0)
    fine = psnr(invert_and_return(options, Ddim(), clean)[0], clean, peak=2.0)
    assert fine > 30
    assert fine - coarse == pytest.approx(20 * math.log10(2), abs=1.5)


@pytest.mark.parametrize("grid", ["uniform-t", "karras", "log-snr"])
def test_inversion_ends_near_the_exact_latent(grid):
    clean, prior = random_states(), GaussianModel(4)
    inverter = OdeInverter(Ode(steps=400, grid=grid), prior, Ddim())
    latent = inverter.invert(clean, batch_noise(3))
    top = inverter.levels.at(399)
    exact = GaussianField().flow(clean, 0.0, top) * inverter.levels.signal(399)
    assert (latent.x - exact).abs().max() < 0.06


def test_the_ode_inverter_keeps_the_rules_of_inverters():
    check_inverter(lambda prior: OdeInverter(Ode(steps=10), prior, Ddim()))
