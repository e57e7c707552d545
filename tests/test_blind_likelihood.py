"""The arithmetic behind the inverter `blind`, without a prior: posterior means, denoiser gains, and the fit of noise."""

import math

import numpy as np
import pytest
import torch

from odekit.parts.inverters.cosine import cosine_basis
from odekit.parts.inverters.likelihood import Model, fit
from odekit.parts.inverters.posterior import denoiser_gains, falling, posterior_mean, transferred_gains
from odekit.parts.inverters.repeats import repeated_values

BASIS = cosine_basis(16, 16, "cpu")


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.Generator(np.random.Philox(seed)).standard_normal(shape))


def uniform(*shape, seed=1):
    return torch.from_numpy(np.random.Generator(np.random.Philox(seed)).uniform(-1, 1, shape))


def test_the_basis_is_orthonormal():
    x = normal(2, 3, 16, 16)
    assert (BASIS.inverse(BASIS.forward(x)) - x).abs().max() < 1e-12
    assert BASIS.forward(x).square().sum() == pytest.approx(float(x.square().sum()))


def test_with_equal_precisions_the_posterior_mean_is_the_weighted_mean():
    y, mean = normal(2, 3, 16, 16), normal(2, 3, 16, 16, seed=1)
    got = posterior_mean(y, torch.full_like(y, 4.0), mean, torch.full_like(y, 0.5), BASIS)
    assert (got - (4.0 * y + 2.0 * mean) / 6.0).abs().max() < 1e-12


def test_the_posterior_mean_solves_the_normal_equations():
    """Compared with a dense solution, for precisions that differ by value and variances that fall with frequency."""
    basis = cosine_basis(6, 6, "cpu")
    y, mean = normal(1, 3, 6, 6), normal(1, 3, 6, 6, seed=1)
    precision = torch.where(uniform(1, 3, 6, 6) > 0, 25.0, 0.5)
    variances = basis.spread(torch.linspace(0.6, 0.05, len(basis.sizes), dtype=torch.float64)[None])
    eye = torch.eye(108, dtype=torch.float64).view(108, 3, 6, 6)
    prior = basis.inverse(basis.forward(eye) / variances).reshape(108, 108)
    matrix = prior + torch.diag(precision.flatten())
    exact = mean.flatten() + torch.linalg.solve(matrix, (precision * (y - mean)).flatten())
    got = posterior_mean(y, precision, mean, variances, basis)
    assert (got.flatten() - exact).abs().max() < 5e-3


def test_where_nothing_was_observed_the_prior_is_correlated_with_its_surroundings():
    """A hole in a picture that is brighter than the prior's mean becomes brighter too, unlike with equal variances."""
    y, mean = torch.ones(1, 3, 16, 16, dtype=torch.float64), torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    precision = torch.full_like(y, 100.0)
    precision[:, :, 6:10, 6:10] = 0.0
    steep = torch.logspace(0, -6, BASIS.bands, dtype=torch.float64).repeat(2)[None]
    smooth = posterior_mean(y, precision, mean, BASIS.spread(steep), BASIS)
    flat = posterior_mean(y, precision, mean, torch.full_like(y, 0.5), BASIS)
    assert smooth[0, :, 7:9, 7:9].min() > 0.8
    assert flat[0, :, 7:9, 7:9].abs().max() < 1e-9


def test_the_noise_tells_the_derivative_of_a_linear_denoiser():
    """x0 = c + g (Y - c) in each band: the estimate is g, without a second call of the denoiser."""
    basis, rho = cosine_basis(64, 64, "cpu"), 0.3
    truth = torch.linspace(0.9, 0.1, basis.bands, dtype=torch.float64).repeat(2)[None]
    z = normal(8, 3, 64, 64)
    change = basis.inverse(basis.spread(truth.repeat(8, 1)) * basis.forward(rho * z))
    got = denoiser_gains(z, change, rho, basis).mean(dim=0)
    wide = basis.sizes > 100
    assert (got - truth[0])[wide].abs().max() < 0.05


def test_gains_transfer_between_levels_as_for_a_gaussian():
    variance, rho, to = 0.09, 0.5, 0.2
    got = transferred_gains(torch.tensor([[variance / (variance + rho**2)]]), rho, to)
    assert float(got) == pytest.approx(variance / (variance + to**2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 2, 1], [3, 2, 1]), ([1, 2, 3], [2, 2, 2]), ([3, 1, 2], [3, 1.5, 1.5]), ([1, 4, 0], [2.5, 2.5, 0])],
)
def test_the_nearest_falling_sequence(values, expected):
    assert falling(values, [1.0] * 3) == expected


def test_the_nearest_falling_sequence_respects_weights():
    assert falling([1.0, 4.0], [3.0, 1.0]) == [1.75, 1.75]


def observed(n, std, share, *, slope=0.0, error=0.01, side=16, seed=2):
    """Pictures with noise and outliers, and what a prior says about them: mean, and the variance of its error."""
    clean = 0.8 * uniform(n, 3, side, side, seed=seed)
    mean = clean + math.sqrt(error) * normal(n, 3, side, side, seed=seed + 1)
    variance = std**2 + slope * (clean + 1) / 2
    y = clean + variance.sqrt() * normal(n, 3, side, side, seed=seed + 2)
    rubbish = (uniform(n, 3, side, side, seed=seed + 3) + 1) / 2 < share
    return torch.where(rubbish, uniform(n, 3, side, side, seed=seed + 4), y), mean, torch.full_like(y[:1], error)


def fitted(y, mean, error, model, rounds=20, known=None):
    damage = model.start(y)
    for _ in range(rounds):
        damage, reliable = fit(y, mean, error, damage, model, known)
    return damage, reliable


@pytest.mark.parametrize(("std", "share"), [(0.1, 0.0), (0.1, 0.3), (0.25, 0.1), (0.03, 0.5)])
def test_noise_and_share_of_outliers_are_found(std, share):
    """Over 200 pictures: noise within 5 %, share within 0.02."""
    error = 0.1 * std**2
    damage, _ = fitted(*observed(200, std, share, error=error), Model(floor=0.005))
    assert float(damage.constant.mean() + damage.slope.mean() * 0.5) ** 0.5 == pytest.approx(std, rel=0.05)
    assert float(damage.share.mean()) == pytest.approx(share, abs=0.02)


def test_estimates_that_took_noise_for_outliers_or_outliers_for_noise_are_left():
    """Both are local maxima of the likelihood: estimates that start there compete with others."""
    noisy, mean, error = observed(3, 0.4, 0.0, error=0.01)
    stuck = Model().start(noisy, share=0.8, variance=0.01)
    assert float(fit(noisy, mean, error, stuck, Model())[0].share.max()) < 0.1
    masked, mean, error = observed(3, 0.02, 0.4, error=0.01)
    stuck = Model().start(masked, share=0.001, variance=0.2)
    damage, _ = fit(masked, mean, error, stuck, Model())
    assert float(damage.share.min()) > 0.3
    assert float(damage.constant.max()) < 0.01


def test_noise_that_grows_with_brightness_is_found():
    damage, _ = fitted(*observed(50, 0.05, 0.1, slope=0.04, error=0.001, side=32), Model(floor=0.005))
    assert float(damage.constant.mean()) == pytest.approx(0.0025, abs=0.001)
    assert float(damage.slope.mean()) == pytest.approx(0.04, rel=0.1)


def test_outliers_are_told_from_sound_values():
    y, mean, error = observed(4, 0.05, 0.3, error=0.001)
    _, reliable = fitted(y, mean, error, Model())
    far = (y - mean).abs() > 0.5
    near = (y - mean).abs() < 0.05
    assert reliable[far].max() < 0.01
    assert reliable[near].mean() > 0.9


def test_repeated_values_are_evidence_of_a_mask():
    """Half of the values are the same: where it happens to be near the mean, it is still an outlier."""
    y, mean, error = observed(4, 0.02, 0.0, error=0.001)
    masked = uniform(4, 3, 16, 16, seed=9) > 0
    colour = 51 / 255 * 2 - 1
    near = masked & ((mean - colour).abs() < 0.03)
    assert near.sum() > 10
    _, reliable = fitted(torch.where(masked, colour, y), mean, error, Model())
    _, without = fitted(torch.where(near, colour, y), mean, error, Model())
    assert reliable[near].mean() < 0.35
    assert without[near].mean() > 0.9


def test_a_value_among_outliers_is_an_outlier_rather_than_a_single_one():
    """Rubbish has area: the same doubtful deviation counts more in the middle of a hole."""
    y, mean, error = observed(1, 0.02, 0.0, error=0.001)
    y[0, 0, 2:7, 2:7] = torch.where(mean[0, 0, 2:7, 2:7] > 0, -1.0, 1.0)
    for row, column in ((4, 4), (12, 12)):
        y[0, 0, row, column] = mean[0, 0, row, column] + 0.16
    _, reliable = fitted(y, mean, error, Model())
    assert reliable[0, 0, 4, 4] < reliable[0, 0, 12, 12] - 0.2


def test_a_pixel_is_an_outlier_as_a_whole_with_that_option():
    y, mean, error = observed(2, 0.05, 0.0, error=0.001)
    y[:, 0, 4, 4] = torch.where(mean[:, 0, 4, 4] > 0, -1.0, 1.0)
    _, by_value = fitted(y, mean, error, Model("value"))
    _, by_pixel = fitted(y, mean, error, Model("pixel"))
    assert by_value[:, 0, 4, 4].max() < 0.01
    assert by_value[:, 1:, 4, 4].min() > 0.5
    assert by_pixel[:, :, 4, 4].max() < 0.01


def test_what_is_known_is_not_estimated():
    y, mean, error = observed(2, 0.1, 0.3)
    damage, reliable = fitted(y, mean, error, Model("none", noise=0.2))
    assert torch.equal(reliable, torch.ones_like(reliable))
    assert float(damage.constant.max()) == pytest.approx(0.04)
    mask = (uniform(1, 1, 16, 16) > 0).double()
    assert torch.equal(fitted(y, mean, error, Model(), known=mask)[1], mask.expand_as(y))


def test_a_picture_does_not_depend_on_the_others():
    y, mean, error = observed(3, 0.1, 0.2)
    damage, reliable = fitted(y, mean, error, Model())
    alone, reliable_alone = fitted(y[1:2], mean[1:2], error, Model())
    assert torch.equal(reliable[1:2], reliable_alone)
    assert torch.equal(damage.constant[1:2], alone.constant)


# Values that repeat as only a mask repeats them


def levels(*shape, seed=11):
    """Pictures of 8-bit levels in model space, without structure."""
    drawn = np.random.Generator(np.random.Philox(seed)).integers(60, 160, shape)
    return torch.from_numpy(drawn / 255.0) * 2 - 1


def scattered(share, seed=12):
    return (uniform(1, 1, 32, 32, seed=seed) + 1) / 2 < share


SKIN = torch.tensor([110, 100, 90]).view(1, 3, 1, 1) / 255.0 * 2 - 1


@pytest.mark.parametrize("share", [0.15, 0.5, 0.8])
def test_a_scattered_mask_of_one_colour_is_found_pixel_by_pixel(share):
    """Its colour is one that the picture has, too."""
    mask = scattered(share)
    found = repeated_values(torch.where(mask, SKIN, levels(1, 3, 32, 32)))
    assert torch.equal(found, mask.expand_as(found))


def test_an_even_background_is_no_mask_nor_are_dark_noise_and_burnt_out_light():
    even = levels(1, 3, 32, 32)
    even[..., :14] = SKIN
    assert not repeated_values(even).any()
    for end in (-1.0, 1.0):
        assert not repeated_values(torch.where(scattered(0.4), end, levels(1, 3, 32, 32))).any()
    assert not repeated_values(torch.where(scattered(0.04), SKIN, levels(1, 3, 32, 32))).any()


def test_a_column_or_row_of_one_value_is_found_in_its_channel():
    y = levels(1, 3, 32, 32)
    y[0, 1, :, 5] = 0.1
    y[0, 2, 9] = -0.2
    expected = torch.zeros_like(y, dtype=torch.bool)
    expected[0, 1, :, 5] = expected[0, 2, 9] = True
    assert torch.equal(repeated_values(y), expected)
    y[0, 1, :, 6] = 0.1  # a wider area of one value may belong to the picture
    expected[0, 1, :, 5] = False
    assert torch.equal(repeated_values(y), expected)


def test_values_known_to_be_wrong_are_left_out_of_the_estimates():
    """Half of the values lie near the mean by chance: without the knowledge they count as noise."""
    y, mean, error = observed(4, 0.05, 0.1, error=0.001, side=32)
    wrong = uniform(4, 3, 32, 32, seed=9) > 0
    masked = torch.where(wrong, mean + 0.15 * normal(4, 3, 32, 32, seed=8), y)
    told, blind = Model(floor=0.005).start(y), Model(floor=0.005).start(y)
    for _ in range(20):
        told, reliable = fit(masked, mean, error, told, Model(floor=0.005), wrong=wrong)
        blind, _ = fit(masked, mean, error, blind, Model(floor=0.005))
    variance = told.variance(mean, 0.005)
    assert float(variance.mean()) ** 0.5 == pytest.approx(0.05, rel=0.05)
    assert float(told.share.mean()) == pytest.approx(0.1, abs=0.02)
    assert float(blind.variance(mean, 0.005).mean()) > 1.5 * float(variance.mean())
    assert (reliable[wrong] == 0).all() and reliable[~wrong].mean() > 0.8
