"""Langevin updates against the closed forms of a Gaussian (an AR(1) process), and their step rules."""

import math

import pytest
import torch

from odekit.core.grid import make_grid
from odekit.core.noise import SharedNoise
from odekit.core.schedule import NoiseSchedule, signal
from odekit.errors import ConfigError, OptionError
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer, snr_step, step_size
from odekit.testing import check_enhancer

SCHEDULE = NoiseSchedule.linear()
GRID = make_grid("uniform-t", 100, SCHEDULE)
LEVEL, MEAN, VARIANCE = 40, 0.3, 0.25


class Gaussian:
    """eps of N(MEAN, VARIANCE) data at any level, with the level's own mean m and variance v."""

    shape, schedule = (3, 8, 8), SCHEDULE

    def __init__(self, level=LEVEL):
        abar = GRID.signal(level) ** 2
        self.m, self.v = math.sqrt(abar) * MEAN, abar * VARIANCE + 1 - abar

    def eps(self, x, t):
        rho = SCHEDULE.rho(t)
        return math.sqrt(1 - signal(rho) ** 2) * (x - self.m) / self.v


class Draws:
    """One long stream for all chains."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)

    def normal_like(self, x):
        return torch.randn(x.shape, generator=self.generator, dtype=x.dtype)


def run(options, x, prior, rng):
    return LangevinEnhancer(options).enhance(x, LEVEL, GRID, prior, rng)


def test_mean_variance_and_autocorrelation_are_those_of_the_closed_form():
    """rho = 1 - a/v; mean m + rho^k (x - m); variance T v / (1 - a/2v) once settled; lag-k autocorrelation rho^k."""
    prior, temperature, lag = Gaussian(), 1 / 3, 5
    a = 0.2 * prior.v
    step = a / (GRID.sigma(LEVEL) / SCHEDULE.sigma_ref) ** 2
    options = Langevin(levels=[LEVEL], iterations=60, step=step, rule="variance", temperature=temperature)
    assert step_size(options, LEVEL, GRID) == pytest.approx(a)
    chains, rng = 200_000, Draws()
    x0 = torch.full((1, 1, 1, chains), 2.0, dtype=torch.float64)
    rho = 1 - a / prior.v

    early = run(options.model_copy(update={"iterations": 3}), x0, prior, rng)
    assert early.mean().item() == pytest.approx(prior.m + rho**3 * (2.0 - prior.m), abs=5e-3)

    settled = run(options, x0, prior, rng)
    variance = temperature * prior.v / (1 - a / (2 * prior.v))
    assert settled.mean().item() == pytest.approx(prior.m, abs=5e-3)
    assert settled.var().item() == pytest.approx(variance, rel=0.01)

    later = run(options.model_copy(update={"iterations": lag}), settled, prior, rng)
    pair = torch.stack([settled.flatten(), later.flatten()])
    assert torch.corrcoef(pair)[0, 1].item() == pytest.approx(rho**lag, abs=0.01)


def test_without_temperature_it_is_gradient_ascent_to_the_mean():
    prior = Gaussian()
    options = Langevin(levels=[LEVEL], iterations=400, step=2e-6, rule="variance", temperature=0.0)
    end = run(options, torch.full((1, 3, 8, 8), 2.0, dtype=torch.float64), prior, None)
    a = step_size(options, LEVEL, GRID)
    torch.testing.assert_close(end, torch.full_like(end, prior.m + (1 - a / prior.v) ** 400 * (2 - prior.m)))


RULES = {
    "literal": lambda level: 1e-6 * GRID.sigma(level) / 0.01,
    "variance": lambda level: 1e-6 * GRID.sigma(level) ** 2 / 1e-4,
    "constant": lambda level: 1e-6,
    "code": lambda level: 1e-6 * 100 ** (1 - level / 99),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("level", [0, 25, 99])
def test_step_rules(rule, level):
    assert step_size(Langevin(rule=rule, step=1e-6), level, GRID) == pytest.approx(RULES[rule](level), rel=1e-9)


def test_the_reference_sigma_is_the_schedules_whatever_the_grid():
    coarse = make_grid("karras", 10, SCHEDULE)
    top = step_size(Langevin(rule="variance", step=1e-6), 9, coarse)
    assert top == pytest.approx(1e-6 * coarse.sigma(9) ** 2 / SCHEDULE.sigma_ref**2)


def test_the_variance_rule_moves_one_hundredth_of_sigma_squared_per_step_of_the_papers():
    options = Langevin(rule="variance", step=1e-6)
    for level in (0, 25, 75):
        assert step_size(options, level, GRID) / GRID.sigma(level) ** 2 == pytest.approx(0.01)


@pytest.mark.parametrize("name, count", [("light", 100), ("medium", 200), ("heavy", 300), (7, 7)])
def test_presets_name_iterations(name, count):
    assert Langevin(iterations=name).count == count
    assert Langevin(iterations=name).calls(GRID) == 4 * count


def test_an_unstable_step_is_refused_with_the_bound():
    options = Langevin(levels=[0], rule="constant", step=3e-4)
    with pytest.raises(ConfigError, match=r"unstable at level 0.*2 sigma\^2 = 0.0002.*below 0.0002"):
        LangevinEnhancer(options).acts_on(GRID)


def test_no_iterations_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        LangevinEnhancer(Langevin(iterations=0)).acts_on(GRID)


def test_temperature_changes_the_noise():
    prior, x = Gaussian(), torch.zeros((1, 3, 8, 8), dtype=torch.float64)
    ends = [run(Langevin(levels=[LEVEL], temperature=t, rule="variance"), x, prior, Draws()) for t in (0.1, 1.0)]
    assert ends[1].std() > 2 * ends[0].std()


def test_langevin_keeps_the_rules_of_enhancers():
    check_enhancer(lambda: LangevinEnhancer(Langevin(iterations=3, rule="variance")))


def test_noise_is_drawn_once_per_update_in_order():
    class Counting:
        shapes: list = []

        def normal(self, shape):
            self.shapes.append(tuple(shape))
            return torch.zeros(tuple(shape)).numpy()

    source = Counting()
    run(
        Langevin(levels=[LEVEL], iterations=3),
        torch.zeros((2, 3, 8, 8), dtype=torch.float64),
        Gaussian(),
        SharedNoise(source),
    )
    assert source.shapes == [(2, 3, 8, 8)] * 3


def test_rule_snr_settles_where_its_closed_form_says():
    """a = 2 r^2 v^2/V with V the variance of the state: V settles at v (T + r^2), lag k correlates (1 - a/v)^k."""
    prior, temperature, snr, lag = Gaussian(), 0.5, 0.4, 2
    options = Langevin(levels=[LEVEL], iterations=40, rule="snr", snr=snr, temperature=temperature)
    rng, x0 = Draws(), torch.full((1, 1, 1, 200_000), 2.0, dtype=torch.float64)
    settled = run(options, x0, prior, rng)
    assert settled.mean().item() == pytest.approx(prior.m, abs=5e-3)
    assert settled.var().item() == pytest.approx(prior.v * (temperature + snr**2), rel=0.01)
    later = run(options.model_copy(update={"iterations": lag}), settled, prior, rng)
    coefficient = 1 - 2 * snr**2 / (temperature + snr**2)
    pair = torch.stack([settled.flatten(), later.flatten()])
    assert torch.corrcoef(pair)[0, 1].item() == pytest.approx(coefficient**lag, abs=0.01)


def test_rule_snr_takes_its_step_for_each_picture_and_never_overshoots():
    eps = torch.stack([torch.full((3, 8, 8), 2.0), torch.full((3, 8, 8), 1e-6)]).double()
    steps = snr_step(0.16, eps, 0.5).flatten().tolist()
    assert steps[0] == pytest.approx(2 * 0.16**2 * 0.5**2 / 2.0**2)
    assert steps[1] == 0.5**2


def test_rule_snr_takes_no_step_and_others_no_snr():
    with pytest.raises(ConfigError, match="leave step out"):
        LangevinEnhancer(Langevin(rule="snr", step=1e-6)).acts_on(GRID)
    with pytest.raises(ConfigError, match="belongs to rule 'snr'"):
        LangevinEnhancer(Langevin(snr=0.2)).acts_on(GRID)
    assert Langevin(rule="snr").snr == 0.16
    assert Langevin(rule="snr").step is None


@pytest.mark.parametrize("wrong", [{"step": -1e-6}, {"step": math.nan}, {"temperature": -0.1}, {"snr": 1.0}, {"iterations": "most"}])  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(OptionError):
        Langevin(**wrong)


@pytest.mark.parametrize("iterations, rate", [(10, 0.1), (100, 0.01)])
def test_ten_large_updates_relax_as_a_hundred_small_ones(iterations, rate):
    """c = (1 - a/v)^K is left of the start, and the variance is T v / (1 - a/2v) (1 - c^2): both depend on K a alone,
    but for 5 % of the start and of the variance."""
    prior, x0, temperature = Gaussian(), torch.full((1, 1, 1, 100_000), 2.0, dtype=torch.float64), 0.6
    options = Langevin(levels=[LEVEL], iterations=iterations, step=rate * 1e-4, temperature=temperature)
    end, a = run(options, x0, prior, Draws()), rate * GRID.sigma(LEVEL) ** 2
    left = (1 - a / prior.v) ** iterations
    assert end.mean().item() == pytest.approx(prior.m + left * (2 - prior.m), rel=0.01)
    assert end.var().item() == pytest.approx(temperature * prior.v / (1 - a / 2 / prior.v) * (1 - left**2), rel=0.02)
    slow = math.exp(-iterations * a / prior.v)
    assert left == pytest.approx(slow, rel=0.06)


@pytest.mark.parametrize("finish", ["noisy", "clean"])
def test_annealed_rounds_follow_their_recursion(finish):
    """Each update: mean m + (1 - a/v)(mean - m), variance (1 - a/v)^2 V + 2 a T; a falls from round to round."""
    prior, x0, temperature = Gaussian(), torch.full((1, 1, 1, 200_000), 2.0, dtype=torch.float64), 0.8
    options = Langevin(
        levels=[LEVEL], iterations=12, step=0.3e-4, temperature=temperature, rounds=4, decay=0.5, finish=finish
    )
    end, first = run(options, x0, prior, Draws()), step_size(options, LEVEL, GRID)
    mean, variance = 2.0 - prior.m, 0.0
    for number in range(4):
        a = first * 0.5**number
        for noisy in [True] * 3 + [False] * (finish == "clean"):
            mean, variance = (1 - a / prior.v) * mean, (1 - a / prior.v) ** 2 * variance + 2 * a * temperature * noisy
    assert end.mean().item() == pytest.approx(prior.m + mean, rel=0.01)
    assert end.var().item() == pytest.approx(variance, rel=0.01)
