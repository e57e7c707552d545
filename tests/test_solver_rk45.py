"""The adaptive yardstick: accurate to its tolerance, each picture by itself, within a stated number of calls."""

import math

import pytest
import torch

from odekit.errors import OptionError
from odekit.parts.solvers.rk45 import Rk45, Rk45Options
from odekit.testing import GaussianField, MixtureField, random_states


def travel(field, y, rhos, **options):
    solver = Rk45(Rk45Options(**options))
    carry = solver.start(field, y, rhos[0])
    for rho in rhos[1:]:
        carry = solver.step(field, carry, rho)
    return carry


@pytest.mark.parametrize("rhos", [(0.0, 100.0), (100.0, 0.01, 0.0), (0.05, 0.3, 20.0)], ids=str)
@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
def test_the_exact_flow_is_met_to_the_tolerance(tolerance, rhos):
    field, y = GaussianField(), random_states() * (1 + rhos[0])
    carry = travel(field, y, rhos, tolerance=tolerance)
    error = (carry.y - field.flow(y, rhos[0], rhos[-1])) / math.sqrt(1 + rhos[-1] ** 2)
    assert error.abs().max() < 100 * tolerance


def test_a_finer_tolerance_takes_more_calls():
    counts = [max(travel(MixtureField(), random_states(), (0.05, 20.0), tolerance=t).calls) for t in (1e-3, 1e-6, 1e-9)]
    assert counts == sorted(set(counts))


def test_a_picture_has_the_same_bytes_alone_and_in_any_company():
    """Rows of different stiffness side by side: each takes its own steps."""
    y = torch.cat([random_states(2), 30 * random_states(2, seed=1), random_states(1, seed=2) * 0.01])
    rhos = (0.0, 0.01, 3.0, 100.0, 3.0)
    together = travel(MixtureField(), y, rhos)
    for i, row in enumerate(y):
        alone = travel(MixtureField(), row[None], rhos)
        assert torch.equal(alone.y[0], together.y[i])
        assert alone.calls[0] == together.calls[i]
    assert len(set(together.calls)) > 1


def test_rows_that_stand_together_share_network_calls():
    field = GaussianField()
    carry = travel(field, random_states(1).repeat(4, 1, 1, 1), (0.05, 20.0))
    assert field.calls == carry.calls[0]


def test_too_many_calls_stop_the_picture_with_the_reason_and_not_the_others():
    y = torch.zeros_like(random_states())
    y[1] = random_states()[1]
    carry = travel(MixtureField(), y, (0.05, 20.0), tolerance=1e-9, max_calls=200)
    assert list(carry.failed) == [1]
    assert "more than max_calls = 200 network calls" in carry.failed[1]
    assert carry.calls[1] <= 200
    assert torch.isnan(carry.y[1]).all() and torch.isfinite(carry.y[[0, 2]]).all()


def test_the_limit_is_that_of_one_way():
    solver = Rk45(Rk45Options(max_calls=1000))
    carry = solver.step(GaussianField(), solver.start(GaussianField(), random_states(), 0.05), 20.0)
    assert min(carry.calls) > 0
    assert solver.turn(carry).calls == (0, 0, 0)


def test_a_row_that_becomes_nan_is_given_up_and_the_others_arrive():
    y = random_states()
    y[2, 0, 0, 0] = math.nan
    carry = travel(GaussianField(), y, (0.05, 20.0))
    assert list(carry.failed) == [2]
    assert torch.isfinite(carry.y[:2]).all()


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, 0.0, -1e-6])
def test_a_tolerance_that_means_nothing_is_refused(tolerance):
    with pytest.raises(OptionError):
        Rk45Options(tolerance=tolerance)


def test_its_calls_are_not_known_before_the_run():
    assert math.isnan(Rk45().nfe_per_step) and math.isnan(Rk45Options().calls(10, 10, 2))
