"""Algorithm 1: which methods are called, in which order, and how often."""

import pytest
import torch

from odekit.core.grid import make_grid
from odekit.core.interfaces import Latent
from odekit.edit import edit
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
from odekit.parts.enhancers.none import NoEnhancer
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim
from odekit.testing import GaussianModel, batch_noise, random_states


class Diary:
    """An inverter with three levels that records its calls."""

    def __init__(self):
        self.levels = make_grid("uniform-t", 3, GaussianModel().schedule)
        self.lines = []

    def invert(self, clean, rng):
        self.lines.append("invert")
        return Latent(clean.clone(), 2)

    def descend(self, latent, rng):
        self.lines.append(f"descend from {latent.level}")
        return Latent(latent.x, latent.level - 1)

    def moved(self, latent, x):
        self.lines.append(f"moved at {latent.level}")
        return Latent(x, latent.level)


class AddOne:
    def acts_on(self, levels):
        return frozenset({0, 2})

    def enhance(self, x, level, levels, prior, rng):
        return x + 1


def test_the_latent_is_enhanced_at_its_levels_before_the_step_down():
    diary = Diary()
    out = edit(torch.zeros(1, 3, 2, 2), diary, AddOne(), None, None)
    assert diary.lines == ["invert", "moved at 2", "descend from 2", "descend from 1", "moved at 0", "descend from 0"]
    assert (out == 2).all()


def test_rounds_start_from_the_result_of_the_one_before():
    diary = Diary()
    out = edit(torch.zeros(1, 3, 2, 2), diary, AddOne(), None, None, repeats=3)
    assert diary.lines.count("invert") == 3
    assert (out == 6).all()


def test_kept_pixels_stay_as_they_are():
    keep = torch.zeros(1, 1, 2, 2)
    keep[..., 0] = 1
    out = edit(torch.full((1, 3, 2, 2), 0.25), Diary(), AddOne(), None, None, keep=keep)
    assert (out[..., 0] == 0.25).all()
    assert (out[..., 1] == 2.25).all()


def test_the_observer_is_notified_of_every_event():
    events = []
    edit(
        torch.zeros(1, 3, 2, 2),
        Diary(),
        AddOne(),
        None,
        None,
        lambda event, latent: events.append((event, latent.level)),
    )
    assert events == [
        ("inverted", 2), ("enhanced", 2), ("descended", 1), ("descended", 0), ("enhanced", 0), ("descended", -1), ("restored", -1),
    ]  # fmt: skip


@pytest.mark.parametrize("iterations, calls", [("light", 600), ("medium", 1000), ("heavy", 1400)])
def test_the_papers_settings_make_600_1000_and_1400_network_calls(iterations, calls):
    prior = GaussianModel(2)
    inverter = OdeInverter(Ode(steps=100), prior, Ddim())
    enhancer = LangevinEnhancer(Langevin(iterations=iterations))
    edit(random_states(1, 2), inverter, enhancer, prior, batch_noise(1))
    assert prior.calls == calls


def test_without_enhancer_the_edit_is_the_round_trip():
    prior, clean = GaussianModel(4), random_states(2, 4)
    inverter = OdeInverter(Ode(steps=400), prior, Ddim())
    assert (edit(clean, inverter, NoEnhancer(), prior, batch_noise(2)) - clean).abs().max() < 0.05
