"""The inverter `ode` with any solver: grids by default, counted calls, and latents that go wrong."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from odekit import Chain, Image
from odekit.core.noise import ReplayNoise, SharedNoise
from odekit.edit import edit
from odekit.errors import ConfigError, PluginError
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
from odekit.parts.installed import catalog
from odekit.parts.inverters.clip import DynamicThreshold
from odekit.parts.inverters.health import MAX_PLAUSIBLE_RMS
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim
from odekit.parts.solvers.rk45 import Rk45, Rk45Options
from odekit.testing import GaussianModel, batch_noise, random_states

FIXED = [n for n in catalog().names("solver") if catalog().get("solver", n).dist == "odekit" and n != "rk45"]


def chain(*settings):
    return Chain.load("odedit", ["priors.face.use=mixture", "restore.inverter.steps=8", *settings])


@pytest.mark.parametrize(
    "solver, grid",
    [
        ("ddim", "uniform-t"),
        ("dpmpp-2m", "log-snr"),
        ("belm", "karras"),
        ("reversible-heun", "log-snr"),
        ("deis", "log-snr"),
        ("unipc", "log-snr"),
        ("dpm-solver", "log-snr"),
    ],
)
def test_auto_is_the_grid_that_the_solver_states_and_is_written_out(solver, grid):
    spec = chain(f"restore.inverter.solver={solver}").tree()["chain"][0]["restore"]["inverter"]
    assert spec["grid"] == grid
    made = OdeInverter(Ode(solver=solver), GaussianModel(), catalog().get("solver", solver).load()())
    assert made.levels.t == Ode(grid=grid).levels(GaussianModel().schedule).t
    other = chain(f"restore.inverter.solver={solver}", "restore.inverter.grid=karras").tree()
    assert other["chain"][0]["restore"]["inverter"]["grid"] == "karras"


def test_explain_says_which_grid_it_is(cli):
    assert "grid=log-snr" in cli("explain", "odedit", "--set", "restore.inverter.solver=dpmpp-2m").out
    assert "600 network calls" in cli("explain", "odedit").out


def test_a_stated_grid_that_does_not_exist_is_the_plugins_mistake():
    class Wrong(Ddim):
        class Options:
            best_grid = "finest"

    with pytest.raises(PluginError, match="best_grid is 'finest'"):
        Ode.model_construct(solver=Wrong.Options(), steps=10, grid="auto").levels(GaussianModel().schedule)


@pytest.mark.parametrize("enhancer", ["none", "{use: langevin, levels: [0, 3, 7], iterations: 2}"])
@pytest.mark.parametrize("start", ["image", "first-level"])
@pytest.mark.parametrize("solver", FIXED)
def test_calls_are_those_that_explain_counts(solver, start, enhancer):
    """Savings of reversible solvers, Euler steps at the image and companions that follow edits included."""
    one = chain(
        f"restore.inverter.solver={solver}", f"restore.inverter.start={start}", f"restore.enhancer={enhancer}",
        "restore.repeats=2",
    )  # fmt: skip
    pixels = np.random.Generator(np.random.Philox(0)).random((3, 8, 8), dtype=np.float32)
    done = one.run([Image(pixels)], device="cpu")[0]
    assert done.record["stages"][0]["calls"] == one.plan().calls


def test_an_adaptive_solver_depends():
    assert chain("restore.inverter.solver=rk45").plan().calls is None


def test_the_start_of_code_adds_the_first_levels_noise():
    prior, clean = GaussianModel(4), random_states()
    draw = np.ones(tuple(clean.shape), dtype=np.float32)
    inverter = OdeInverter(Ode(steps=10, start="noised"), prior, Ddim())
    plain = OdeInverter(Ode(steps=10, start="first-level"), prior, Ddim())
    seen = inverter.invert(clean, SharedNoise(ReplayNoise([draw]))).x
    assert torch.allclose(seen, plain.invert(clean + inverter.levels.sigma(0), batch_noise(3)).x)


@pytest.mark.parametrize("method", ["start", "step", "turn", "displace"])
def test_a_solver_without_a_method_is_refused_by_name(method):
    kept = {"start": Ddim.start, "step": Ddim.step, "turn": Ddim.turn, "displace": Ddim.displace}
    del kept[method]
    with pytest.raises(PluginError, match=f"Bare has no '{method}'"):
        OdeInverter(Ode(steps=10), GaussianModel(), type("Bare", (), kept)())


BAD = {
    "one step": (["restore.inverter.steps=1"], "greater than or equal to 2"),
    "more levels than timesteps": (["restore.inverter.steps=1001"], "between 2 and 1000"),
    "level beyond the grid": (["restore.enhancer.levels=[8]"], "level 8 is not on the grid: indices run from 0 to 7"),
    "tolerance nan": (["restore.inverter.solver=rk45", "restore.inverter.solver.tolerance=.nan"], "finite"),
    "tolerance infinite": (["restore.inverter.solver=rk45", "restore.inverter.solver.tolerance=.inf"], "finite"),
    "no iterations": (["restore.inverter.solver=fixed-point", "restore.inverter.solver.iterations=0"], "equal to 1"),
    "option of another solver": (["restore.inverter.solver=heun", "restore.inverter.solver.label=target"], "unknown"),
}


@pytest.mark.parametrize("case", BAD)
def test_contradictory_options_are_reported(case):
    settings, expected = BAD[case]
    with pytest.raises(ConfigError) as error:
        chain(*settings).plan()
    assert expected in str(error.value)


class Blow(Ddim):
    """Row 1 becomes NaN, row 2 leaves the plausible range, when the step up ends at `rho`."""

    def __init__(self, rho):
        super().__init__()
        self.rho = rho

    def step(self, field, carry, rho):
        after = super().step(field, carry, rho)
        if rho == self.rho and carry.rho < rho:
            after.y[1], after.y[2] = math.nan, 1e9
        return after


def test_failed_pictures_are_reported_with_level_and_direction_and_the_others_continue():
    prior, clean = GaussianModel(4), random_states(4)
    at = Ode(steps=10).levels(prior.schedule).at(6)
    inverter = OdeInverter(Ode(steps=10), prior, Blow(at))
    sound = OdeInverter(Ode(steps=10), prior, Ddim())
    latent, whole = inverter.invert(clean, batch_noise(4)), sound.invert(clean, batch_noise(4))
    assert set(latent.row_failures) == {1, 2} and not whole.row_failures
    assert "became NaN or infinite at level 6 of 10 during inversion" in latent.row_failures[1]
    assert (
        "left the plausible range (RMS" in latent.row_failures[2]
        and "level 6 of 10 during inversion" in latent.row_failures[2]
    )
    while latent.level >= 0:
        latent, whole = inverter.descend(latent, batch_noise(4)), sound.descend(whole, batch_noise(4))
    assert torch.isnan(latent.x[[1, 2]]).all()
    assert torch.equal(latent.x[[0, 3]], whole.x[[0, 3]])


def test_a_failed_edit_is_reported_with_its_level():
    inverter = OdeInverter(Ode(steps=10), GaussianModel(4), Ddim())
    latent = inverter.descend(inverter.invert(random_states(), batch_noise(3)), batch_noise(3))
    far = latent.x.clone()
    far[0] = 2 * MAX_PLAUSIBLE_RMS
    assert "level 8 of 10 after an edit" in inverter.moved(latent, far).row_failures[0]
    assert not inverter.moved(latent, latent.x + 1).row_failures


def test_only_the_first_failure_is_reported():
    inverter = OdeInverter(Ode(steps=10), GaussianModel(4), Ddim())
    latent = inverter.invert(random_states(), batch_noise(3))
    far = torch.full_like(latent.x, 1e6)
    wrong = inverter.descend(inverter.moved(latent, far), batch_noise(3))
    again = inverter.moved(wrong, torch.full_like(far, math.nan))
    assert set(again.row_failures) == {0, 1, 2}
    assert all("(RMS 1e+06) at level 9 of 10 after an edit" in said for said in again.row_failures.values())
    assert not latent.row_failures


@pytest.mark.parametrize("clip", ["none", DynamicThreshold()], ids=["unclipped", "clipped"])
@pytest.mark.parametrize("solver", FIXED)
def test_no_step_waits_for_the_device(solver, clip):
    """On torch's device without memory whoever asks for a number fails: a whole round does not, its report does."""
    part, told = catalog().get("solver", solver), []
    prior = SimpleNamespace(shape=(3, 4, 4), schedule=GaussianModel().schedule, eps=lambda x, t: 0.5 * x)
    inverter = OdeInverter(Ode(steps=10, clip=clip), prior, part.load()(part.options()))
    clean = torch.zeros((3, 3, 4, 4), dtype=torch.float64, device="meta")
    enhancer = LangevinEnhancer(Langevin(levels=[0, 3], iterations=2))
    edit(clean, inverter, enhancer, prior, batch_noise(3), lambda event, latent: told.append(latent))
    assert len(told) == 1 + 2 + 10 + 1 and told[-1].level == -1
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        told[-1].row_failures  # noqa: B018


def test_the_reason_of_a_solver_that_gives_up_reaches_the_latent():
    inverter = OdeInverter(Ode(steps=4, grid="log-snr"), GaussianModel(4), Rk45(Rk45Options(max_calls=20)))
    latent = inverter.invert(random_states(), batch_noise(3))
    assert len(latent.row_failures) == 3
    assert (
        "more than max_calls = 20 network calls" in latent.row_failures[0]
        and "during inversion" in latent.row_failures[0]
    )


def test_a_lower_top_ends_the_grid_there_and_levels_above_it_are_refused():
    schedule = GaussianModel().schedule
    for name in ("uniform-t", "karras", "log-snr"):
        low = Ode(solver="dpmpp-2m", steps=10, grid=name, top=0.3).levels(schedule)
        assert len(low) == 10 and 240 < low.t[-1] < 300
    assert low.find([0.25]) <= set(range(10))
    with pytest.raises(ConfigError, match=r"level 0\.5 lies above the grid, whose highest level is 0\.3"):
        low.find([0.5])


def test_edits_below_the_top_give_the_same_as_on_the_whole_grid():
    """With nothing moved above the top, the way down only undoes the way up: the exact ODE comes to the same picture."""
    images = [Image(np.full((3, 8, 8), 0.4, np.float32))]
    ends = []
    for steps, top in ((400, 1.0), (300, 0.3)):
        one = chain(
            "restore.inverter.solver=heun", f"restore.inverter.steps={steps}", f"restore.inverter.top={top}",
            "restore.enhancer={use: langevin, levels: [0.1, 0.2], iterations: 3, step: 1.0e-5}",
        )  # fmt: skip
        ends.append(one.run(images)[0].image.pixels)
    assert np.abs(ends[0] - ends[1]).max() < 5e-3
