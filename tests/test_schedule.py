"""Noise levels against closed forms and published values of the schedules."""

import math

import numpy as np
import pytest

from odekit.core.grid import make_grid
from odekit.core.schedule import NoiseSchedule, sigma, signal
from odekit.errors import ConfigError

LINEAR = NoiseSchedule.linear()


def test_linear_betas_start_at_sigma_of_one_hundredth():
    assert LINEAR.sigma_ref == pytest.approx(0.01, rel=1e-12)
    assert len(LINEAR) == 1000


def test_abar_is_the_product_of_what_each_step_keeps():
    betas = np.linspace(1e-4, 0.02, 1000)
    kept = 1.0
    for t, beta in enumerate(betas):
        kept *= 1 - beta
        assert LINEAR.abar[t] == pytest.approx(kept, rel=1e-12)


def test_scaled_linear_ends_where_latent_diffusion_models_do():
    assert NoiseSchedule.scaled_linear(8.5e-4, 0.012).abar[-1] == pytest.approx(4.660098513e-3, rel=1e-9)


def test_cosine_follows_its_curve_where_betas_are_not_capped():
    curve = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
    np.testing.assert_allclose(NoiseSchedule.cosine().abar[:900], curve[1:901] / curve[0], rtol=1e-10)


@pytest.mark.parametrize("abar", [[0.9], [0.5, 0.9], [1.0, 0.5], [0.5, 0.0], [float("nan"), 0.5]])
def test_what_is_no_schedule_is_refused(abar):
    with pytest.raises(ValueError, match="decreasing"):
        NoiseSchedule(np.array(abar))


@pytest.mark.parametrize("t", [0.0, 0.5, 17.0, 499.25, 998.9, 999.0])
def test_timestep_and_rho_are_inverse(t):
    assert LINEAR.timestep(LINEAR.rho(t)) == pytest.approx(t, abs=1e-8)


def test_between_timesteps_t_is_linear_in_log_rho():
    middle = math.sqrt(LINEAR.rho(10) * LINEAR.rho(11))
    assert LINEAR.timestep(middle) == pytest.approx(10.5, abs=1e-9)


def test_below_the_lowest_trained_level_the_network_gets_the_lowest_timestep():
    assert LINEAR.timestep(0.0) == 0.0
    assert LINEAR.timestep(1e-6) == 0.0


def test_signal_and_sigma_are_the_two_legs_of_a_right_triangle():
    for t in (0, 250, 750, 999):
        rho = LINEAR.rho(t)
        assert signal(rho) ** 2 == pytest.approx(LINEAR.abar[t], rel=1e-12)
        assert signal(rho) ** 2 + sigma(rho) ** 2 == pytest.approx(1.0)


def test_the_papers_levels_have_the_noise_the_paper_gives_them():
    grid = make_grid("uniform-t", 100, LINEAR)
    found = sorted(grid.find([0.0, 0.25, 0.5, 0.75]))
    assert found == [0, 25, 50, 75]
    assert [round(grid.sigma(i), 3) for i in found] == [0.01, 0.692, 0.96, 0.998]


def test_uniform_t_is_the_leading_spacing_where_it_divides():
    assert make_grid("uniform-t", 50, LINEAR).t == tuple(float(20 * k) for k in range(50))


@pytest.mark.parametrize("name", ["karras", "log-snr"])
def test_other_grids_run_from_the_lowest_to_the_highest_trained_level(name):
    grid = make_grid(name, 20, LINEAR)
    assert grid.t[0] == 0.0
    assert grid.t[-1] == pytest.approx(999.0)
    assert all(a < b for a, b in zip(grid.rho, grid.rho[1:], strict=False))


def test_log_snr_is_uniform_in_log_rho():
    steps = np.diff(np.log(make_grid("log-snr", 20, LINEAR).rho))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_karras_is_uniform_in_the_seventh_root():
    steps = np.diff(np.array(make_grid("karras", 20, LINEAR).rho) ** (1 / 7))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 0, 1001])
def test_grids_that_cannot_be_are_refused(steps):
    with pytest.raises(ConfigError, match="between 2 and 1000"):
        make_grid("uniform-t", steps, LINEAR)


def test_integers_are_indices_and_decimals_are_fractions():
    grid = make_grid("uniform-t", 20, LINEAR)
    assert grid.find([1, 0.5]) == {1, 10}
    assert grid.find([1.0]) == {19}


@pytest.mark.parametrize("level", [20, -1, 1.01, -0.1])
def test_levels_outside_the_grid_are_refused(level):
    with pytest.raises(ConfigError, match=str(level)):
        make_grid("uniform-t", 20, LINEAR).find([level])
