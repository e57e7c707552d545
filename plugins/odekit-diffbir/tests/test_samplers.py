"""Samplers against closed forms; guidance; grids."""

import math

import numpy as np
import pytest
import torch
from odekit_diffbir import edm
from odekit_diffbir.options import Diffbir
from odekit_diffbir.samplers import ddim, guided, sample, spaced
from odekit_diffbir.schedule import LatentSchedule, ddim_timesteps, guidance, spaced_timesteps

from odekit.core.noise import ImageNoise, ReplayNoise, SharedNoise, ZeroNoise, noise_generator
from odekit.errors import ConfigError

from .parity_samplers import MEAN, VARIANCE, Gaussian

MU, VAR = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (MEAN, VARIANCE))


def noise(seed=0):
    return SharedNoise(ImageNoise(noise_generator(seed, "samplers", "test")))


def start(n=1, seed=1):
    return torch.from_numpy(np.random.Generator(np.random.Philox(seed)).standard_normal((n, 4, 8, 8)))


def flow_end(schedule, x):
    """End of the probability-flow ODE from x at timestep 999: each channel of the Gaussian is scaled."""
    abar = float(schedule.abar[-1])
    return MU + (x - math.sqrt(abar) * MU) * (VAR / (abar * VAR + 1 - abar)).sqrt()


class Interior:
    """The exact denoiser of the Gaussian on a grid that stops short of sigma = 0."""

    def __init__(self, steps):
        self.sigmas = [10 * 0.02 ** (i / steps) for i in range(steps + 1)]

    def __call__(self, z, i):
        return MU + VAR / (VAR + self.sigmas[i] ** 2) * (z - MU)


@pytest.mark.parametrize("solve", [edm.dpmpp_2m, lambda d, z: edm.dpmpp_3m_sde(d, z, noise(), 0.0)], ids=["2m", "3m"])
def test_integrators_are_second_order_on_the_exact_flow(solve):
    z = 10 * start()
    truth = MU + (z - MU) * ((VAR + 0.2**2) / (VAR + 10**2)).sqrt()
    coarse, fine = (float((solve(Interior(n), z) - truth).abs().max()) for n in (64, 128))
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.15)


def test_3m_errs_less_than_2m():
    z = 10 * start()
    truth = MU + (z - MU) * ((VAR + 0.2**2) / (VAR + 10**2)).sqrt()
    two, three = edm.dpmpp_2m(Interior(32), z), edm.dpmpp_3m_sde(Interior(32), z, noise(), 0.0)
    assert 2 * (three - truth).abs().max() < (two - truth).abs().max()


@pytest.mark.parametrize("predicts", ["eps", "v"])
@pytest.mark.parametrize("sampler", ["dpmpp-2m", "dpmpp-3m-sde", "ddim"])
def test_deterministic_samplers_approach_the_exact_flow_to_the_image(predicts, sampler):
    schedule, x = LatentSchedule(predicts), start()
    options = [Diffbir(sampler=sampler, steps=steps, eta=0.0) for steps in (20, 40)]
    ends = [sample(o, Gaussian(schedule, MEAN), schedule, x, noise()) for o in options]
    coarse, fine = (float((end - flow_end(schedule, x)).abs().max()) for end in ends)
    assert fine < 0.6 * coarse < 0.12


@pytest.mark.parametrize("predicts", ["eps", "v"])
def test_the_noisy_integrator_gives_the_data_s_mean_and_variance(predicts):
    schedule = LatentSchedule(predicts)
    out = sample(Diffbir(steps=200), Gaussian(schedule, MEAN), schedule, start(64), noise())
    # 4,096 numbers per channel: three standard errors are 0.047 sd of the mean, 0.066 of the variance.
    assert ((out.mean((0, 2, 3)) - MU.flatten()).abs() <= 0.05 * VAR.flatten().sqrt()).all()
    assert ((out.var((0, 2, 3)) / VAR.flatten() - 1).abs() <= 0.09).all()


def test_ddim_ends_at_a_clean_latent_unless_last_is_set():
    schedule, x = LatentSchedule("eps"), start()
    model = Gaussian(schedule, MEAN)
    clean = ddim(model, schedule, x, 50, noise())
    official = ddim(model, schedule, x, 50, noise(), last=float(schedule.abar[0]))
    assert (clean - flow_end(schedule, x)).abs().max() < 0.15
    assert 0.001 < (clean - official).abs().max() < 0.1


def test_the_last_step_of_the_spaced_sampler_adds_no_noise():
    schedule, x = LatentSchedule("v"), start()
    draws = [np.zeros(x.shape, dtype=np.float32)] * 4
    quiet = spaced(Gaussian(schedule, MEAN), schedule, x, 5, SharedNoise(ReplayNoise([*draws, np.zeros(x.shape)])))
    loud = spaced(Gaussian(schedule, MEAN), schedule, x, 5, SharedNoise(ReplayNoise([*draws, np.ones(x.shape)])))
    assert torch.equal(quiet, loud)


def test_v_is_read_where_no_signal_is_left():
    schedule = LatentSchedule("v")
    assert schedule.abar[-1] == 0
    assert torch.isfinite(spaced(Gaussian(schedule, MEAN), schedule, start(), 5, SharedNoise(ZeroNoise()))).all()


def test_the_grid_of_models_that_predict_noise_starts_where_they_were_trained():
    assert LatentSchedule("eps").edm(10)[0][0] == pytest.approx(14.6146, abs=1e-3)
    assert LatentSchedule("eps").edm(10, forced_top=True)[0][0] == pytest.approx(1e4, rel=1e-6)
    assert LatentSchedule("v").edm(10)[0][0] == pytest.approx(1e4, rel=1e-6)


def test_guidance_moves_away_from_what_is_not_wanted():
    model = guided(lambda x, t: x + 1, lambda x, t: x - 1, 4.0, rescaled=False)
    assert model(torch.zeros(1), 500).item() == 7  # -1 + 4 * 2
    assert guided(lambda x, t: x, None, 4.0, rescaled=False)(torch.ones(1), 0).item() == 1


def test_rescaled_guidance_grows_from_one_to_weight_plus_one():
    weights = [guidance(4.0, t, rescaled=True) for t in (999, 750, 500, 250, 0)]
    assert weights == sorted(weights) and weights[0] == pytest.approx(1) and weights[-1] == pytest.approx(5)


@pytest.mark.parametrize(("rule", "steps", "words"), [
    (spaced_timesteps, 1, "needs 2 to 1000 steps, not 1"), (spaced_timesteps, 1001, "not 1001"),
    (ddim_timesteps, 3, "steps that divide 1000"), (ddim_timesteps, 30, "steps that divide 1000"),
])  # fmt: skip
def test_steps_that_a_rule_cannot_take_are_refused(rule, steps, words):
    with pytest.raises(ConfigError, match=words):
        rule(steps)
