"""The reversible solvers: whatever the network says, the way down undoes the way up."""

import pytest
import torch

from odekit.core.grid import make_grid
from odekit.core.schedule import NoiseSchedule
from odekit.parts.inverters.ode import Ode, OdeInverter, PriorField
from odekit.parts.priors.exact import example_mixture
from odekit.parts.solvers.belm import Belm, BelmOptions
from odekit.parts.solvers.reversible_heun import ReversibleHeun, ReversibleHeunCarry
from odekit.testing import GaussianField, batch_noise, psnr, random_states, solve

SOLVERS = {
    "reversible-heun": ReversibleHeun,
    "belm": Belm,
    "belm-midpoint": lambda: Belm(BelmOptions(rule="midpoint")),
}
GRIDS = ["uniform-t", "karras", "log-snr"]


class Float32Mixture:
    """The documented mixture behind a network of float32: its input and its output are rounded."""

    def __init__(self):
        self.exact, self.calls = example_mixture(), 0
        self.shape, self.schedule = self.exact.shape, self.exact.schedule

    def eps(self, x, t):
        self.calls += 1
        return self.exact.eps(x.float().double(), t).float().double()


def strange(y, rho, label=None):
    """A field that is no score of anything: reversibility asks for nothing."""
    return torch.sin(3 * y + rho) * torch.cos(y).exp()


def round_trip(solver, field, y, rhos):
    carry = solver.start(field, y, rhos[0])
    for rho in rhos[1:]:
        carry = solver.step(field, carry, rho)
    carry = solver.turn(carry)
    for rho in rhos[-2::-1]:
        carry = solver.step(field, carry, rho)
    return carry.y


@pytest.mark.parametrize("damaged", [False, True], ids=["clean", "damaged"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SOLVERS)
def test_a_round_trip_through_a_float32_network_is_above_190_db(name, grid, damaged):
    """From the image at rho = 0 and back to it, 50 levels, in and out of the prior's own pictures."""
    import numpy as np

    prior, generator = Float32Mixture(), np.random.Generator(np.random.Philox(5))
    clean = prior.exact.sample(4, generator)
    if damaged:
        clean = clean + 0.25 * torch.from_numpy(generator.standard_normal(tuple(clean.shape)))
        clean[..., 3:5] = 0
    inverter = OdeInverter(Ode(steps=50, grid=grid), prior, SOLVERS[name]())
    latent = inverter.invert(clean, batch_noise(4))
    while latent.level >= 0:
        latent = inverter.descend(latent, batch_noise(4))
    assert psnr(latent.x, clean, peak=2.0) >= 190
    assert prior.calls == 99  # 2 N - 1: one step back needs no call


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("rhos", [[0.0, 0.01, 0.03, 0.1, 0.3, 1.0], [0.2, 0.5, 1.1, 2.0], [0.0, 0.5]], ids=str)
def test_any_field_is_undone_from_any_start(name, rhos):
    y = random_states()
    assert (round_trip(SOLVERS[name](), strange, y, rhos) - y).abs().max() < 1e-12


@pytest.mark.parametrize("name", SOLVERS)
def test_from_the_first_level_the_way_back_leads_there_too(name):
    """`start: first-level` begins above rho = 0; the last step then goes on to the image."""
    field, y = GaussianField(lossy=True), random_states()
    rhos = list(make_grid("karras", 20, NoiseSchedule.linear()).rho)
    assert psnr(round_trip(SOLVERS[name](), field, y, rhos), y, peak=2.0) >= 190
    assert field.calls == 37


def test_a_step_of_reversible_heun_and_its_inverse_are_one_formula():
    y, solver = random_states(), ReversibleHeun()
    before = ReversibleHeunCarry(y, 0.4, y + 0.1, strange(y + 0.1, 0.4))
    after = solver.step(strange, before, 0.7)
    back = solver.step(strange, after, 0.4)
    assert (back.y - before.y).abs().max() < 1e-14 and (back.companion - before.companion).abs().max() < 1e-14


def test_neighbours_of_belm_obey_one_relation_in_both_directions():
    """`y' - r^2 y_last - (1 - r^2) y = h (1 + r) eps(y)`, and the same with y' and y_last exchanged and r inverted."""
    solver, y = Belm(), random_states()
    a, b, c = (0.2, 0.35, 0.6)
    first = solver.step(strange, solver.start(strange, y, a), b)
    second = solver.step(strange, first, c)
    ya, yb, yc, eps = y, first.y, second.y, strange(first.y, b)
    for low, high, h, h_last in ((ya, yc, c - b, b - a), (yc, ya, a - b, b - c)):
        r = h / h_last
        torch.testing.assert_close(high, r * r * low + (1 - r * r) * yb + h * (1 + r) * eps, rtol=0, atol=1e-13)


def test_neighbours_of_the_midpoint_rule_obey_the_leapfrog_relation():
    """`y' - y_last = (h + h_last) eps(y)`, whichever of the two is the new one."""
    solver, y = SOLVERS["belm-midpoint"](), random_states()
    first = solver.step(strange, solver.start(strange, y, 0.2), 0.35)
    second = solver.step(strange, first, 0.6)
    torch.testing.assert_close(second.y, y + 0.4 * strange(first.y, 0.35), rtol=0, atol=1e-13)


def rough(y, rho, label=None):
    """A Gaussian's eps as a network says it: with an error that changes from place to place."""
    return GaussianField()(y, rho) + 0.03 * torch.sin(1e3 * y)


def test_the_midpoint_rule_keeps_latents_on_the_ode_where_the_optimal_one_amplifies_a_networks_error():
    rhos, start = list(make_grid("log-snr", 50, NoiseSchedule.linear()).rho), random_states()
    off = {}
    for name in ("belm", "belm-midpoint", "reversible-heun"):
        end = solve(SOLVERS[name](), rough, start, rhos)
        off[name] = float((end - GaussianField().flow(start, rhos[0], rhos[-1])).square().mean().sqrt() / rhos[-1])
    assert off["belm-midpoint"] < 1.5 * off["reversible-heun"]
    assert off["belm"] > 3 * off["belm-midpoint"]


def test_belm_takes_its_first_step_back_from_memory():
    calls = []

    def field(y, rho, label=None):
        calls.append(rho)
        return strange(y, rho)

    solver, y = Belm(), random_states()
    carry = solver.start(field, y, 0.0)
    for rho in (0.1, 0.3):
        carry = solver.step(field, carry, rho)
    below, seen = carry.last, len(calls)
    assert torch.equal(solver.step(field, solver.turn(carry), 0.1).y, below)
    assert len(calls) == seen


def test_going_down_from_a_latent_reversible_heun_is_of_second_order_at_once():
    """Its first step asks twice; with the cheap start of the way up the companion's error would grow all the way."""
    field, rhos = GaussianField(), list(make_grid("karras", 50, NoiseSchedule.linear()).rho)[::-1]
    top = random_states() * 100
    solver, counted = ReversibleHeun(), field.calls
    carry = solver.start(field, top, rhos[0])
    for rho in rhos[1:]:
        carry = solver.step(field, carry, rho)
    assert field.calls - counted == 50
    assert (carry.y - field.flow(top, rhos[0], rhos[-1])).abs().max() < 0.02


def test_the_field_of_the_inverter_is_the_priors():
    prior = Float32Mixture()
    x = torch.zeros((1, 3, 8, 8), dtype=torch.float64)
    rho = prior.schedule.rho(500)
    assert torch.equal(PriorField(prior)(x, rho), prior.eps(x, 500.0))
