"""DDIM and Langevin against what other programs computed with the same small network (tests/data/README.md)."""

import numpy as np
import pytest
import torch
from goldens import deviation, golden, golden_input
from small_prior import Mixed, small_prior

from odekit.enhancers.langevin import Langevin, LangevinEnhancer, step_size
from odekit.grids import make_grid
from odekit.interfaces import Latent
from odekit.inverters.clip import Confidence
from odekit.inverters.ode import Ode, OdeInverter
from odekit.rng import Replay, WholeNoise
from odekit.solvers.ddim import Ddim, DdimOptions

LIBRARY = golden("ddim_diffusers_small.B")
CODE = golden("code_small.B")
MODELS = {"net": small_prior, "mix": Mixed}
TOP = {"net": 29, "mix": 49}


def climb(prior, clean, stop, label, start="image"):
    """States at every level of the way up: {index: x}."""
    inverter = OdeInverter(Ode(steps=50, start=start), prior, Ddim(DdimOptions(label=label)))
    seen, field = {}, inverter.field
    rhos = [0.0, *inverter.levels.rho[: stop + 1]] if start == "image" else list(inverter.levels.rho[: stop + 1])
    carry = inverter.solver.start(field, clean / inverter.levels.signal(-1 if start == "image" else 0), rhos[0])
    first = 0 if start == "image" else 1
    for index, rho in enumerate(rhos[1:], first):
        carry = inverter.solver.step(field, carry, rho)
        seen[index] = (carry.y * inverter.levels.signal(index)).numpy()
    return seen


def descend(prior, x, index):
    """States of the way down from a stored latent: {index: x}, -1 is the image."""
    inverter = OdeInverter(Ode(steps=50), prior, Ddim())
    latent = Latent(
        x, index, inverter.solver.start(inverter.field, x / inverter.levels.signal(index), inverter.levels.at(index))
    )
    seen = {}
    while latent.level >= 0:
        latent = inverter.descend(latent, None)
        seen[latent.level] = latent.x.numpy()
    return seen


def stored(data, prefix):
    """The stored arrays of a way: {index: array}."""
    return {int(name.rpartition("_i")[2]): data[name] for name in data if name.startswith(prefix + "_i")}


def compare(seen, wanted, tolerance, last=1e-4):
    assert wanted, "nothing to compare"
    for index, array in wanted.items():
        limit = last if index == 49 else tolerance
        assert deviation(seen[index], array) <= limit, f"index {index}"


@pytest.fixture(scope="module")
def picture():
    return torch.from_numpy(golden_input(LIBRARY, (1, 3, 32, 32))).double()


@pytest.mark.parametrize("model", MODELS)
def test_labels_of_the_source_repeat_the_plain_formula(model, picture):
    compare(climb(MODELS[model](), picture, TOP[model], "source"), stored(LIBRARY, f"{model}_encode_lowlabel"), 1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_labels_of_the_target_repeat_the_librarys_inverse_scheduler(model, picture):
    compare(climb(MODELS[model](), picture, TOP[model], "target"), stored(LIBRARY, f"{model}_encode"), 1e-4)


def test_the_two_labels_differ_by_several_per_cent(picture):
    """So the comparisons above can tell them apart."""
    up = climb(Mixed(), picture, 49, "source")[49]
    assert deviation(up, LIBRARY["mix_encode_i49"]) > 0.02


@pytest.mark.parametrize("data, name", [(LIBRARY, "library"), (CODE, "code")], ids=["library", "code"])
@pytest.mark.parametrize("model", MODELS)
def test_the_way_down_repeats_the_schedulers(model, data, name):
    top = TOP[model]
    start = torch.from_numpy(data[f"{model}_encode_i{top}"]).double()
    seen = descend(MODELS[model](), start, top)
    compare(seen, stored(data, f"{model}_decode"), 1e-4)
    assert deviation(seen[-1], data[f"{model}_decode_clean"]) <= 1e-4


@pytest.mark.parametrize("model", MODELS)
def test_an_image_at_the_first_level_climbs_as_in_code(model):
    noised = golden_input(CODE, (1, 3, 32, 32)) + np.float32(0.01) * draws((1, 3, 32, 32))[0]
    assert np.allclose(noised.ravel()[:8], CODE["noised_input_head"], rtol=1e-6, atol=1e-7)
    seen = climb(MODELS[model](), torch.from_numpy(noised).double(), TOP[model], "source", start="first-level")
    compare(seen, stored(CODE, f"{model}_encode"), 1e-4, last=5e-4)


def draws(shape, n=1):
    rng = np.random.Generator(np.random.PCG64(int(CODE["seed_noise"])))
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(n)]


LANGEVIN = {
    ("constant", "constant_nofinal"): {"rule": "constant", "step": 2e-3},
    ("geometric", None): {"rule": "code", "step": 2e-5},
    ("variance", None): {"rule": "variance", "step": 1e-6},
}


@pytest.mark.parametrize("index", [5, 25])
@pytest.mark.parametrize("names", LANGEVIN, ids=lambda names: names[0])
def test_langevin_updates_and_step_rules_repeat_code(names, index):
    """Ten noisy updates, then one without noise: the program's own end of a round, here as a second call."""
    prior, options = small_prior(), LANGEVIN[names]
    levels = make_grid("uniform-t", 50, prior.schedule)
    noisy = Langevin(levels=[index], iterations=10, temperature=1.0, **options)
    assert step_size(noisy, index, levels) == pytest.approx(float(CODE[f"langevin_i{index:02}_{names[0]}_a"]), rel=1e-5)
    x = torch.from_numpy(CODE[f"langevin_start_i{index:02}"]).double()
    x = LangevinEnhancer(noisy).enhance(x, index, levels, prior, WholeNoise(Replay(draws(x.shape, 10))))
    if names[1]:
        assert deviation(x.numpy(), CODE[f"langevin_i{index:02}_{names[1]}"]) <= 1e-5
    final = Langevin(levels=[index], iterations=1, temperature=0.0, **options)
    x = LangevinEnhancer(final).enhance(x, index, levels, prior, None)
    assert deviation(x.numpy(), CODE[f"langevin_i{index:02}_{names[0]}"]) <= 1e-5


class Recorded(Ddim):
    """Keeps the state after every step."""

    def __init__(self):
        super().__init__()
        self.states = []

    def step(self, field, carry, rho):
        after = super().step(field, carry, rho)
        self.states.append(after)
        return after


def clipped_climb(prior, options):
    """States of the way up as CODE starts it, {index: x}."""
    solver, picture = Recorded(), torch.from_numpy(golden_input(CODE, (1, 3, 32, 32))).double()
    inverter = OdeInverter(options, prior, solver)
    inverter.invert(picture, WholeNoise(Replay(draws(picture.shape))))
    return {i: (c.y * inverter.levels.signal(i)).numpy() for i, c in enumerate(solver.states, 1)}


CLIPPED = Ode(steps=50, grid="uniform-t", start="noised", clip=Confidence(eta=1.7, ways="up"))


@pytest.mark.parametrize("model", MODELS)
def test_confidence_clipping_repeats_code(model):
    """Taken at the timestep of the level; the arrays called BAD looked it up by the index of the step."""
    seen = clipped_climb(MODELS[model](), CLIPPED)
    compare(seen, stored(CODE, f"{model}_encode_cbc"), 1e-4, last=5e-4)
    top = TOP[model]
    assert deviation(seen[top], CODE[f"{model}_BAD_encode_cbc_stepindex_i{top}"]) > 0.05
    assert deviation(seen[top], CODE[f"{model}_encode_i{top}"]) > 0.01


def test_the_clipping_interval_is_that_of_the_timestep():
    levels = make_grid("uniform-t", 50, small_prior().schedule)
    far = torch.full((1, 3, 1, 1), 1e6, dtype=torch.float64)
    bounds = [float(CLIPPED.clip.held(far, levels.at(i)).max()) * levels.signal(i) for i in range(50)]
    assert np.allclose(bounds, CODE["cbc_bounds_by_timestep"], rtol=1e-6)
    assert not np.allclose(bounds, CODE["cbc_bounds_by_stepindex_BAD"], rtol=0.1)


def test_annealed_rounds_with_a_clean_end_repeat_codes_edit():
    """Two rounds of four noisy updates and one without noise, the step x 0.8, then the way down."""
    prior, index = small_prior(), 29
    levels = make_grid("uniform-t", 50, prior.schedule)
    options = Langevin(
        levels=[index], iterations=8, rounds=2, decay=0.8, finish="clean", rule="code", step=2e-5, temperature=1.0
    )
    sizes = [step_size(options, index, levels) * factor for factor in dict(options.updates)]
    assert np.allclose(sizes, CODE["edit_step_sizes"], rtol=1e-5)
    x = torch.from_numpy(CODE["net_encode_i29"]).double()
    x = LangevinEnhancer(options).enhance(x, index, levels, prior, WholeNoise(Replay(draws(x.shape, 8))))
    assert deviation(x.numpy(), CODE["edit_latent_after_langevin"]) <= 1e-5
    seen = descend(prior, x, index)
    assert deviation(seen[0], CODE["edit_decode_i00"]) <= 1e-4
    assert deviation(seen[-1], CODE["edit_clean"]) <= 1e-4
    assert deviation(seen[-1], CODE["BAD_edit_final"]) > 0.01
