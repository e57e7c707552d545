"""An edit on the way down: every solver answers as the exact ODE does, and only rows that were edited answer."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from benchmarks.subjects import median_psnr
from odekit.core.schedule import signal
from odekit.parts.installed import catalog
from odekit.parts.inverters.ode import Ode, OdeInverter, PriorField
from odekit.parts.priors.exact import example_mixture
from odekit.parts.solvers.belm import Belm, BelmOptions
from odekit.parts.solvers.rk45 import Rk45, Rk45Options
from odekit.testing import GaussianField, batch_noise, log_grid, random_states

NAMES = [name for name in catalog().names("solver") if catalog().get("solver", name).dist == "odekit"]
FIRST_ORDER = {"ddim", "fixed-point"}


def make(name):
    entry = catalog().get("solver", name)
    return entry.load()(entry.options())


def midpoint():
    return Belm(BelmOptions(rule="midpoint"))


@dataclass
class Edited:
    fidelity: float
    response: float


def exact_way_down(field, y, rho, low):
    solver = Rk45(Rk45Options(tolerance=1e-8))
    carry = solver.step(field, solver.start(field, y, rho), low)
    return solver.step(field, carry, 0.0).y


@pytest.fixture(scope="module")
def edited():
    """Figures of every solver on karras (midpoint: log-snr), N = 50, with an edit of 0.02 RMS at the middle level."""
    found = {}
    prior = example_mixture()
    generator = np.random.Generator(np.random.Philox(3))
    clean = prior.sample(9, generator)
    direction = torch.from_numpy(generator.standard_normal(tuple(clean.shape)))
    field = PriorField(prior)
    for name in [*NAMES, "midpoint"]:
        # Steps that grow too fast for the midpoint rule on the way down: it has a grid of its own.
        grid = "log-snr" if name == "midpoint" else "karras"
        inverter = OdeInverter(Ode(steps=50, grid=grid), prior, midpoint() if name == "midpoint" else make(name))
        latent = inverter.invert(clean, batch_noise(9))
        while latent.level > 25:
            latent = inverter.descend(latent, batch_noise(9))
        ends, exact = [], []
        for size in (0.0, 0.02):
            way = inverter.moved(latent, latent.x + size * direction) if size else latent
            rho = inverter.levels.at(25)
            exact.append(exact_way_down(field, way.x / signal(rho), rho, inverter.levels.at(0)))
            while way.level >= 0:
                way = inverter.descend(way, batch_noise(9))
            ends.append(way.x)
        found[name] = Edited(median_psnr(ends[1], exact[1]), median_psnr(ends[1] - ends[0], exact[1] - exact[0]))
    return found


@pytest.mark.parametrize("name", [*NAMES, "midpoint"])
def test_the_response_to_an_edit_is_that_of_the_exact_ode(edited, name):
    assert edited[name].response >= 60, edited


@pytest.mark.parametrize("name", [name for name in [*NAMES, "midpoint"] if name not in FIRST_ORDER])
def test_the_edited_latent_is_decoded_as_by_the_exact_ode(edited, name):
    assert edited[name].fidelity >= 60, edited


def way(solver, field, edit, y, rhos, at):
    carry = solver.start(field, y, rhos[0])
    for rho in rhos[1:]:
        carry = solver.step(field, carry, rho)
    carry = solver.turn(carry)
    for i in range(len(rhos) - 1, 0, -1):
        if i == at and edit is not None:
            carry = solver.displace(carry, edit)
        carry = solver.step(field, carry, rhos[i - 1])
    return carry.y


@pytest.mark.parametrize("at", [32, 20, 1])
@pytest.mark.parametrize("name", ["belm", "reversible-heun"])
def test_calls_that_edits_add_are_those_that_options_state(name, at):
    entry, y, rhos = catalog().get("solver", name), random_states(), log_grid(32)
    counts = []
    for edit in (None, torch.full_like(y, 0.01)):
        field = GaussianField()
        way(make(name), field, edit, y, rhos, at)
        counts.append(field.calls)
    assert counts[0] == entry.options().calls(32, 32, 0) == 63
    assert counts[1] - counts[0] == entry.options().edit_calls({at - 1}, 31, -1)
