"""The exact priors say the truth: gradients of their own log densities, and the closed forms of a Gaussian."""

import math

import numpy as np
import pytest
import torch

from odekit.core.grid import make_grid
from odekit.core.schedule import NoiseSchedule, signal
from odekit.parts.priors.exact import GaussianPrior, MixturePrior, example_mixture

MEAN, VARIANCE = (0.3, -0.5, 0.1), (0.05, 0.5, 2.0)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(generator(seed).standard_normal(shape))


def gradient(prior: MixturePrior, x: torch.Tensor, t: float | None) -> torch.Tensor:
    x = x.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(prior.log_density(x, t).sum(), x)
    return g


def worst(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def test_gaussian_eps_is_the_closed_form():
    prior = GaussianPrior(MEAN, VARIANCE, shape=(3, 2, 2))
    x, t = noise(4, 3, 2, 2), 400.0
    abar = float(prior.schedule.abar[400])
    for c, (mu, s) in enumerate(zip(MEAN, VARIANCE, strict=True)):
        expected = math.sqrt(1 - abar) * (x[:, c] - math.sqrt(abar) * mu) / (abar * s + 1 - abar)
        assert worst(prior.eps(x, t)[:, c], expected) < 1e-14


def test_gaussian_flow_obeys_the_probability_flow_equation():
    """dy/drho = eps, by a central difference in rho at a fractional timestep."""
    prior = GaussianPrior(MEAN, VARIANCE, shape=(3, 2, 2))
    x, t, h = noise(4, 3, 2, 2), 512.5, 1e-4
    y = [prior.flow(x, t, t + d) / math.sqrt(prior.schedule.abar_at(t + d)) for d in (-h, h)]
    rho = [prior.schedule.rho(t + d) for d in (-h, h)]
    assert worst((y[1] - y[0]) / (rho[1] - rho[0]), prior.eps(x, t)) < 1e-8


def test_gaussian_flow_carries_the_data_to_the_marginal_and_back():
    prior = GaussianPrior(MEAN, VARIANCE, shape=(3, 2, 2))
    clean = prior.sample(4, generator())
    top = prior.flow(clean, None, 999.0)
    assert worst(prior.flow(top, 999.0, None), clean) < 1e-13
    mean, variance = prior.marginal(999.0)
    assert torch.allclose((clean - prior.mean) / prior.variance.sqrt(), (top - mean) / variance.sqrt(), atol=1e-12)


def test_ddim_on_a_gaussian_multiplies_by_the_known_factors():
    """z' - mu = (z - mu) (1 + (q' - q) q / (S + q^2)), for every step of the grid."""
    prior = GaussianPrior(MEAN, VARIANCE, shape=(3, 2, 2))
    grid = make_grid("uniform-t", 50, prior.schedule)
    y = start = noise(2, 3, 2, 2) / signal(grid.rho[0])
    factor = torch.ones_like(prior.mean)
    for q, q2, t in zip(grid.rho[:-1], grid.rho[1:], grid.t[:-1], strict=True):
        y = y + (q2 - q) * prior.eps(y * signal(q), t)
        factor = factor * (1 + (q2 - q) * q / (prior.variance + q * q))
    assert worst(y, prior.mean + factor * (start - prior.mean)) < 1e-12


@pytest.mark.parametrize("t", [None, 0.0, 17.25, 500.0, 999.0])
def test_mixture_score_is_the_gradient_of_its_log_density(t: float | None):
    prior = MixturePrior(noise(5, 3, 2, 2).numpy(), std=0.3, weights=[1, 2, 3, 4, 5])
    x = noise(6, 3, 2, 2, seed=1)
    assert worst(prior.score(x, t), gradient(prior, x, t)) < 1e-10


def test_mixture_eps_is_minus_sigma_times_the_score():
    prior = example_mixture()
    x = noise(3, 3, 8, 8)
    sigma = math.sqrt(1 - prior.schedule.abar[300])
    assert worst(prior.eps(x, 300.0), -sigma * prior.score(x, 300.0)) < 1e-14


def test_a_mixture_of_one_is_a_gaussian():
    mean = noise(1, 3, 4, 4)
    one = MixturePrior(mean.numpy(), std=0.5)
    gauss = GaussianPrior(mean[0].numpy(), 0.25, shape=(3, 4, 4))
    x = noise(4, 3, 4, 4, seed=1)
    assert worst(one.eps(x, 123.4), gauss.eps(x, 123.4)) < 1e-13


@pytest.mark.parametrize("far", [1e2, 1e6])
def test_mixture_stays_finite_far_from_the_data(far: float):
    """Where every component's density underflows, the likeliest one still decides."""
    prior = example_mixture()
    x = far * noise(2, 3, 8, 8)
    assert torch.isfinite(prior.eps(x, 0.0)).all()
    assert torch.allclose(prior.posterior(x, 0.0).sum(dim=1), torch.ones(2, dtype=torch.float64))


def test_samples_have_the_mixture_s_moments():
    prior = MixturePrior(noise(4, 3, 2, 2).numpy(), std=0.2, weights=[4, 3, 2, 1])
    draws = prior.sample(40_000, generator())
    shares = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    mean = (shares[:, None, None, None] * prior.means).sum(dim=0)
    second = (shares[:, None, None, None] * (prior.means**2 + 0.04)).sum(dim=0)
    assert torch.allclose(draws.mean(dim=0), mean, atol=0.03)
    assert torch.allclose(draws.square().mean(dim=0), second, atol=0.12)


def test_samples_are_likely_and_the_noise_is_found_in_them():
    """On data of the mixture eps has unit variance at the top level (all noise) and no bias."""
    prior = example_mixture()
    abar = prior.schedule.abar[999]
    e = noise(64, 3, 8, 8, seed=2)
    x = math.sqrt(abar) * prior.sample(64, generator()) + math.sqrt(1 - abar) * e
    assert worst(prior.eps(x, 999.0), e) < 0.02


def test_the_example_is_the_documented_one():
    prior = example_mixture()
    means = generator(0).uniform(-1.0, 1.0, (24, 3, 8, 8))
    assert prior.shape == (3, 8, 8)
    assert (prior.std, len(prior.means)) == (0.08, 24)
    assert np.array_equal(prior.means.numpy(), means)
    assert torch.allclose(prior.weights, torch.full((24,), 1 / 24, dtype=torch.float64))


@pytest.mark.parametrize(("steps", "expected"), [(20, 30.6), (100, 39.9)])
def test_the_example_repeats_the_published_round_trip(steps: int, expected: float):
    """DDIM up and down on uniform-t, 32 samples, peak-to-peak 2: figures of the study behind this project."""
    prior = example_mixture()
    clean = prior.sample(32, generator(1))
    rho = [0.0, *make_grid("uniform-t", steps, prior.schedule).rho]
    y = clean
    for path in (rho, rho[::-1]):
        for a, b in zip(path[:-1], path[1:], strict=True):
            y = y + (b - a) * prior.eps(y * signal(a), prior.schedule.timestep(a))
    assert 10 * math.log10(4 / float((y - clean).square().mean())) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("shape", [(3, 64, 64), (3, 256, 256), (3, 4, 6)])
def test_exact_priors_work_at_any_side(shape: tuple[int, int, int]):
    mixture = example_mixture(shape)
    x = noise(2, *shape)
    for prior in (mixture, GaussianPrior(shape=shape)):
        eps = prior.eps(x, 250.0)
        assert eps.shape == x.shape
        assert eps.dtype == torch.float64
        assert torch.isfinite(eps).all()
    assert mixture.means.abs().max() <= 1


def test_another_schedule_is_respected():
    x = noise(1, 3, 2, 2)
    linear, cosine = (
        GaussianPrior(shape=(3, 2, 2), schedule=s) for s in (NoiseSchedule.linear(), NoiseSchedule.cosine())
    )
    assert worst(cosine.eps(x, 500.0), linear.eps(x, 500.0)) > 0.01


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianPrior(variance=0.0),
        lambda: GaussianPrior(mean=[0.0, 1.0]),
        lambda: MixturePrior(np.zeros((2, 3, 4, 4)), std=0.0),
        lambda: MixturePrior(np.zeros((2, 3, 4, 4)), std=0.1, weights=[1.0]),
        lambda: MixturePrior(np.zeros((2, 4)), std=0.1),
    ],
)
def test_impossible_priors_are_refused(make):
    with pytest.raises(ValueError):
        make()
