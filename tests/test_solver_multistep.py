"""`deis` and `unipc`: exact where the polynomial is, of the stated order elsewhere, and right after edits.

That they repeat the diffusers library's schedulers is in test_parity.py.
"""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from odekit.parts.solvers.deis import Deis, DeisOptions
from odekit.parts.solvers.history import HistoryCarry, Point
from odekit.parts.solvers.unipc import PredictedCarry, Unipc, UnipcOptions
from odekit.testing import GaussianField, MixtureField, check_solver, log_grid, observed_order, random_states, solve

DEIS = [DeisOptions(order=order, variable=variable) for order in (1, 2, 3) for variable in ("log-rho", "rho")]
UNIPC = [UnipcOptions(order=order, predict=predict) for order in (1, 2, 3) for predict in ("noise", "data")]
OPTIONS = [*DEIS, *UNIPC]


def name(options):
    return " ".join([options.part, *(str(value) for value in options.model_dump().values())])


def make(options):
    return Deis(options) if isinstance(options, DeisOptions) else Unipc(options)


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_the_conformance_kit_passes_with_all_options(options):
    check_solver(lambda: make(options), tolerance=0.1)


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_the_exact_flow_of_a_gaussian_is_approached_with_the_stated_order(options, down):
    """From exact starting values, as the order of a multistep method is defined; errors against the closed form."""
    field, errors = GaussianField(), []
    for n in (128, 256):
        rhos = log_grid(n, 0.1, 10.0)[:: -1 if down else 1]
        y = random_states() * (rhos[0] + 1)
        carry = with_history(options, field, lambda rho, y=y, top=rhos[0]: field.flow(y, top, rho), rhos[:3])
        end = travel(make(options), field, carry, rhos[3:])
        errors.append(float((end.y - field.flow(y, rhos[0], rhos[-1])).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(make(options).order, abs=0.35)


def with_history(options, field, exact, rhos):
    """The carry at the last of `rhos`, with the exact values at those before it, newest first."""
    data = isinstance(options, UnipcOptions) and options.predict == "data"
    past = []
    for rho in rhos[-2::-1]:
        y = exact(rho)
        past.append(Point(rho, y - rho * field(y, rho) if data else field(y, rho)))
    kind = HistoryCarry if isinstance(options, DeisOptions) else PredictedCarry
    return kind(exact(rhos[-1]), rhos[-1], tuple(past))


def travel(solver, field, carry, rhos):
    for rho in rhos:
        carry = solver.step(field, carry, rho)
    return carry


class Polynomial:
    """A field that is a polynomial of degree 2 in s or in log s, whatever the state; its integral is closed."""

    def __init__(self, log, data):
        self.log, self.data = log, data

    def value(self, s):
        u = math.log(s) if self.log else s
        return 0.7 - 0.4 * u + 0.3 * u * u

    def antiderivative(self, s):
        if not self.log:
            return 0.7 * s - 0.2 * s**2 + 0.1 * s**3
        u = math.log(s)
        return s * (0.7 - 0.4 * (u - 1) + 0.3 * (u * u - 2 * u + 2))

    def __call__(self, y, rho, label=None):
        if self.data:
            return (y - self.value(1 / rho)) / rho
        return torch.full_like(y, self.value(rho))

    def flow(self, y, rho, to):
        if self.data:
            return to * (y / rho + self.antiderivative(1 / to) - self.antiderivative(1 / rho))
        return y + self.antiderivative(to) - self.antiderivative(rho)


@pytest.mark.parametrize("options", [one for one in OPTIONS if one.order == 3], ids=name)
def test_a_polynomial_of_three_points_is_integrated_exactly_up_over_the_turn_and_down(options):
    deis = isinstance(options, DeisOptions)
    field = Polynomial(not deis or options.variable == "log-rho", not deis and options.predict == "data")
    solver, rhos = make(options), [0.2, 0.23, 0.3, 0.35, 0.5, 0.8, 1.0, 1.1, 1.7]
    start = torch.full((1, 3, 2, 2), 0.4, dtype=torch.float64)
    carry = with_history(options, field, lambda rho: field.flow(start, rhos[0], rho), rhos[:3])
    for rho in rhos[3:]:
        carry = solver.step(field, carry, rho)
        assert (carry.y - field.flow(start, rhos[0], rho)).abs().max() < 1e-12, rho
    carry = solver.turn(carry)
    for rho in rhos[-2::-1]:
        carry = solver.step(field, carry, rho)
        assert (carry.y - field.flow(start, rhos[0], rho)).abs().max() < 1e-12, rho


class Uncorrected(Unipc):
    """The predictor alone."""

    def step(self, field, carry, rho):
        return replace(super().step(field, carry, rho), base=None)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_corrector_raises_the_order_by_one(order):
    options = UnipcOptions(order=order)
    assert observed_order(lambda: Uncorrected(options)) == pytest.approx(order, abs=0.1)
    assert observed_order(lambda: Unipc(options)) == pytest.approx(order + 1, abs=0.1)


@pytest.mark.parametrize("at", [32, 31, 20, 2])
@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_an_edited_row_goes_on_as_a_run_that_starts_there_and_the_others_as_they_were(options, at):
    field, y, rhos = MixtureField(), random_states(), log_grid(32)
    delta = torch.zeros_like(y)
    delta[1] = 0.3
    solver = make(options)
    carry = solver.turn(travel(solver, field, solver.start(field, y, rhos[0]), rhos[1:]))
    carry = travel(solver, field, carry, rhos[at:-1][::-1])
    edited, unedited = solver.displace(carry, delta), carry
    anew = solver.start(field, carry.y + delta, rhos[at])
    for rho in rhos[at - 1 :: -1]:
        edited, unedited, anew = (solver.step(field, one, rho) for one in (edited, unedited, anew))
        assert torch.equal(edited.y[[0, 2]], unedited.y[[0, 2]])
        assert (edited.y[1] - anew.y[1]).abs().max() < 1e-12


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_edits_of_one_row_after_another_are_those_of_both_at_once(options):
    field, y, rhos = MixtureField(), random_states(), log_grid(32)
    first, second = torch.zeros_like(y), torch.zeros_like(y)
    first[1], second[0] = 0.1, 0.2
    solver = make(options)
    carry = travel(solver, field, solver.start(field, y * 20, rhos[-1]), rhos[-2:20:-1])
    apart, both = solver.displace(solver.displace(carry, first), second), solver.displace(carry, first + second)
    ends = [travel(solver, field, one, rhos[20::-1]).y for one in (apart, both)]
    assert torch.equal(*ends)


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_steps_from_the_image_leave_no_history(options):
    """The network answers at rho = 0 as at its lowest level, so its answer is no point of the polynomial."""
    solver, field, y = make(options), GaussianField(), random_states()
    carry = solver.step(field, solver.start(field, y, 0.0), 0.05)
    assert not carry.past and torch.equal(carry.y, y + 0.05 * field(y, 0.0))


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_history_does_not_grow(options):
    """Three states per picture at most, whatever the number of levels."""
    solver, field, y = make(options), GaussianField(), random_states()
    carry = solver.start(field, y, 0.0)
    for rho in log_grid(40):
        carry = solver.step(field, carry, rho)
        assert len(carry.past) <= options.order


def test_options_change_the_result():
    rhos, y = log_grid(12), random_states()
    ends = [solve(make(options), MixtureField(), y, rhos) for options in OPTIONS]
    same = [(name(a), name(b)) for (a, x), (b, z) in itertools.combinations(zip(OPTIONS, ends, strict=True), 2)
            if torch.equal(x, z)]  # fmt: skip
    assert same == [("deis 1 log-rho", "deis 1 rho")]
