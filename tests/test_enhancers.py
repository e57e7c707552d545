"""Preconditioned Langevin and SK-ROCK against the closed forms of a Gaussian, frequency by frequency."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from scipy.special import eval_chebyt, eval_chebyu

from odekit import Chain
from odekit.core.grid import make_grid
from odekit.core.schedule import NoiseSchedule
from odekit.errors import ConfigError
from odekit.evaluation.experiments.faces import face_set
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.images.dct import dct_matrix
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
from odekit.parts.enhancers.preconditioned import PreconditionedEnhancer, PreconditionedOptions
from odekit.parts.enhancers.sk_rock import SkRockEnhancer, SkRockOptions, stability_limit
from odekit.parts.enhancers.spectrum import Spectrum, load_spectrum
from odekit.testing import check_enhancer
from odekit.training.calibration import spectrum

SCHEDULE = NoiseSchedule.linear()
GRID = make_grid("uniform-t", 100, SCHEDULE)
LEVEL, SIDE, TEMPERATURE = 16, 8, 0.6
SIGMA = GRID.sigma(LEVEL)


def coefficients(x):
    """Orthonormal DCT of luma and chroma by another library."""
    return torch.from_numpy(dctn(np.einsum("ij,njhw->nihw", LUMA_CHROMA_AXES, x.numpy()), axes=(2, 3), norm="ortho"))


def level_variances(spectrum):
    return GRID.signal(LEVEL) ** 2 * spectrum.variances(SIDE, SIDE) + SIGMA**2


class Faces:
    """Gaussian faces with a mean and a variance for each frequency: eps is exact."""

    shape, schedule = (3, SIDE, SIDE), SCHEDULE

    def __init__(self, spectrum):
        self.v = torch.from_numpy(level_variances(spectrum))
        self.mean = 0.2

    def eps(self, x, t):
        scaled = coefficients(x - self.mean) / self.v
        planes = np.einsum("ij,nihw->njhw", LUMA_CHROMA_AXES, scaled.numpy())
        down = dct_matrix(SIDE)
        return SIGMA * torch.from_numpy(np.einsum("kh,njkl,lw->njhw", down, planes, down))


class Draws:
    """One stream for all pictures."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)

    def normal_like(self, x):
        return torch.randn(x.shape, generator=self.generator, dtype=x.dtype)


OWN, STEEP = load_spectrum(), Spectrum((0.5, 8.0), (0.5, 1e-4), (0.05, 1e-5))
PICTURES = 1500


def preconditioned(x, prior, rng, **options):
    chosen = PreconditionedOptions(**{"levels": [LEVEL], "temperature": TEMPERATURE, "power": 1.0} | options)
    return PreconditionedEnhancer(chosen).enhance(x, LEVEL, GRID, prior, rng)


@pytest.mark.parametrize("power", [1.0, 0.5, -0.5])
@pytest.mark.parametrize("name", ["its own", "another"])
def test_every_frequency_is_the_process_of_its_closed_form(power, name):
    """Coefficient c = 1 - M/v, mean c^k x, variance T v / (1 - M/2v) (1 - c^2k), whatever spectrum M is made of."""
    prior, rate, count = Faces(OWN if name == "its own" else STEEP), 0.3, 5
    steps = torch.from_numpy(rate * SIGMA**2 * (level_variances(OWN) / SIGMA**2) ** power)
    c = 1 - steps / prior.v
    if float(c.abs().max()) > 0.99:  # a frequency that the prior knows better than M thinks: see the bound below
        steps, rate = steps / 40, rate / 40
        c = 1 - steps / prior.v
    start = torch.randn((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made = coefficients(
        preconditioned(start.expand(PICTURES, -1, -1, -1), prior, Draws(), iterations=count, rate=rate, power=power)
        - prior.mean
    )
    left = c ** (2 * count)
    variance = TEMPERATURE * prior.v / (1 - steps / (2 * prior.v)) * (1 - left)
    error = (made.mean(0) - c**count * coefficients(start - prior.mean)[0]) / (variance / PICTURES).sqrt()
    assert float(error.abs().max()) < 4.5
    assert float((made.var(0) / variance - 1).abs().max()) < 4.5 * math.sqrt(2 / PICTURES)


def test_at_power_1_all_frequencies_forget_at_the_same_pace():
    """Lag-k autocorrelation (1 - rate)^k in every frequency; with plain Langevin it is near 1 where v is large."""
    prior, lag, rate = Faces(OWN), 3, 0.25
    settled = prior.mean + torch.zeros((PICTURES, 3, SIDE, SIDE), dtype=torch.float64)
    settled = preconditioned(settled, prior, Draws(1), iterations=16, rate=rate)
    later = preconditioned(settled, prior, Draws(2), iterations=lag, rate=rate)
    a, b = (coefficients(x - prior.mean).flatten(1) for x in (settled, later))
    found = (a * b).mean(0) / (a.std(0) * b.std(0))
    assert float((found - (1 - rate) ** lag).abs().max()) < 4.5 / math.sqrt(PICTURES)


def test_at_power_0_it_is_langevin():
    prior, x = Faces(OWN), torch.randn((2, 3, SIDE, SIDE), dtype=torch.float64)
    made = preconditioned(x, prior, Draws(), iterations=4, rate=0.1, power=0.0)
    plain = Langevin(levels=[LEVEL], iterations=4, step=0.1 * SCHEDULE.sigma_ref**2, temperature=TEMPERATURE)
    drift, same = (
        enhancer.enhance(x, LEVEL, GRID, prior, None)
        for enhancer in (
            PreconditionedEnhancer(PreconditionedOptions(levels=[LEVEL], iterations=4, power=0.0, temperature=0.0)),
            LangevinEnhancer(plain.model_copy(update={"temperature": 0.0})),
        )
    )
    torch.testing.assert_close(drift, same)
    noisy = LangevinEnhancer(plain).enhance(x, LEVEL, GRID, prior, Draws())
    torch.testing.assert_close(made, noisy), "an orthonormal turn of white noise by its identity is the noise itself"


def test_levels_iterations_and_the_spectrum_have_their_effect(tmp_path):
    prior, x = Faces(OWN), torch.zeros((1, 3, SIDE, SIDE), dtype=torch.float64)
    spectrum.save(STEEP, tmp_path / "steep.json")
    common = {"iterations": 2, "rate": 0.01}
    one, other = (preconditioned(x, prior, Draws(), **common, **more) for more in ({}, {"spectrum": str(tmp_path / "steep.json")}))  # fmt: skip
    assert not torch.allclose(one, other)
    assert PreconditionedOptions(levels=[3, 9], iterations=7).calls(GRID) == 14
    assert PreconditionedOptions(levels=[3, 9]).acts_on(GRID) == {3, 9}


def gaussian(v):
    class Gaussian:
        shape, schedule, m = (3, SIDE, SIDE), SCHEDULE, 0.3

        def eps(self, x, t):
            return SIGMA * (x - self.m) / v

    return Gaussian()


def sk_rock(x, prior, rng, **options):
    chosen = SkRockOptions(**{"levels": [LEVEL], "temperature": TEMPERATURE} | options)
    return SkRockEnhancer(chosen).enhance(x, LEVEL, GRID, prior, rng)


def closed_form(stages, rate, v):
    """A and B of Abdulle, Almuslimani and Vilmart, by scipy's Chebyshev polynomials."""
    omega0 = 1 + 0.05 / stages**2
    slope = stages * eval_chebyu(stages - 1, omega0)  # T_s' = s U_{s-1}
    omega1, p = eval_chebyt(stages, omega0) / slope, -rate * SIGMA**2 / v
    w = omega0 + omega1 * p
    a = eval_chebyt(stages, w) / eval_chebyt(stages, omega0)
    return a, eval_chebyu(stages - 1, w) / eval_chebyu(stages - 1, omega0) * (1 + omega1 * p / 2)


@pytest.mark.parametrize("stages, rate", [(1, 0.4), (2, 1.0), (3, 1.0), (5, 20.0), (10, 150.0)])
@pytest.mark.parametrize("stiffness", [1.0, 0.03])
def test_sk_rock_is_the_process_of_its_closed_form(stages, rate, stiffness):
    """x_{n+1} = A x_n + B sqrt(2hT) z: mean, stationary variance 2hT B^2/(1 - A^2), lag-1 autocorrelation A."""
    v, chains = SIGMA**2 / stiffness, 40_000
    prior, (a, b) = gaussian(v), closed_form(stages, rate, v)
    start = torch.full((1, 1, 1, chains), 2.0, dtype=torch.float64)
    one = sk_rock(start, prior, Draws(), stages=stages, rate=rate)
    spread = 2 * rate * SIGMA**2 * TEMPERATURE * b**2
    assert one.mean().item() == pytest.approx(prior.m + a * (2 - prior.m), abs=5 * math.sqrt(spread / chains) + 1e-9)
    assert one.var().item() == pytest.approx(spread, rel=0.03)
    stationary = spread / (1 - a**2)
    settled = prior.m + math.sqrt(stationary) * Draws(5).normal_like(start)
    later = sk_rock(settled, prior, Draws(6), stages=stages, rate=rate)
    assert later.var().item() == pytest.approx(stationary, rel=0.03)
    assert torch.corrcoef(torch.stack([settled.flatten(), later.flatten()]))[0, 1].item() == pytest.approx(a, abs=0.02)


@pytest.mark.parametrize("stages", [1, 2, 3, 5, 10])
def test_the_bound_is_where_the_coefficient_leaves_minus_one_and_grows_with_the_square(stages):
    a = [closed_form(stages, share * stability_limit(stages), SIGMA**2)[0] for share in (0.5, 0.999, 1.02)]
    assert abs(a[0]) < 1 and abs(a[1]) < 1 < abs(a[2])
    assert stability_limit(stages) == pytest.approx((2 - 4 / 3 * 0.05) * stages**2, rel=0.04)


def test_unstable_steps_are_refused_with_the_bound():
    with pytest.raises(ConfigError, match=r"rate 20 is unstable with 3 stages.*below 17\.\d+ sigma\^2; use more"):
        SkRockEnhancer(SkRockOptions(rate=20.0, stages=3)).acts_on(GRID)
    with pytest.raises(ConfigError, match="less than 2"):
        Chain.load("odedit-fast", ["restore.enhancer={use: preconditioned, rate: 2.0}"])
    with pytest.raises(ConfigError, match=r"power 1 is unstable at level.*must stay below 2; use a rate below 0\.000"):
        Chain.load("odedit-fast", ["restore.enhancer={use: preconditioned, power: 1.0}"]).plan()


@pytest.mark.parametrize("ratio, near", [(3.0, 0.08), (30.0, 0.01), (300.0, 1e-3)])
def test_three_calls_of_sk_rock_relax_coarse_structure_as_ten_updates(ratio, near):
    """Time sigma^2 in one step where v = ratio sigma^2: what is left of the start, and the variance that came in."""
    a, b = closed_form(3, 1.0, ratio * SIGMA**2)
    left = math.exp(-1 / ratio)
    assert a == pytest.approx(left, rel=near)
    assert 2 * SIGMA**2 * b**2 == pytest.approx(ratio * SIGMA**2 * (1 - left**2), rel=near)


@pytest.mark.parametrize("make", [lambda: PreconditionedEnhancer(PreconditionedOptions(iterations=2)), lambda: SkRockEnhancer(SkRockOptions())])  # fmt: skip
def test_they_keep_the_rules_of_enhancers(make):
    check_enhancer(make)


def test_cold_they_draw_no_noise():
    x = torch.ones((1, 3, SIDE, SIDE), dtype=torch.float64)
    for moved in (
        preconditioned(x, Faces(OWN), None, iterations=2, temperature=0.0),
        sk_rock(x, gaussian(SIGMA**2), None, temperature=0.0),
    ):
        assert moved.isfinite().all() and not moved.equal(x)


def test_the_spectrum_of_drawn_faces_is_found_and_comes_back_from_its_file(tmp_path):
    """Pictures drawn with a known spectrum: every ring within 25 % (the middle ones have hundreds of values)."""
    rng, wanted = np.random.Generator(np.random.Philox(1)), Spectrum((0.5, 32.0), (0.02, 1e-5), (4e-3, 2e-6))
    down, v = dct_matrix(32), wanted.variances(32, 32)
    drawn = np.einsum(
        "ij,kh,nikl,lw->nhwj",
        LUMA_CHROMA_AXES,
        down,
        np.sqrt(v) * rng.standard_normal((200, 3, 32, 32)),
        down,
        optimize=True,
    )
    found = spectrum.calibrate(np.rint((drawn.clip(-1, 1) + 1) * 127.5).astype(np.uint8))
    ratio = found.variances(32, 32) / v
    assert ratio[:, 1:20, 1:20].min() > 0.75 and ratio[:, 1:20, 1:20].max() < 1.25
    spectrum.save(found, tmp_path / "spectrum.json")
    assert load_spectrum(tmp_path / "spectrum.json") == found


def test_the_shipped_spectrum_fits_faces_that_it_was_not_made_of():
    test = spectrum.calibrate(face_set(None, 64).test)
    middle = slice(2, 12)
    np.testing.assert_allclose(OWN.luma[middle], test.luma[middle], rtol=0.4)
    np.testing.assert_allclose(OWN.chroma[middle], test.chroma[middle], rtol=0.6)
    assert OWN.luma[2] > 100 * OWN.luma[12]


@pytest.mark.parametrize("change", [{"luma": [0.1]}, {"radii": [2.0, 1.0]}, {"chroma": [1.0, -1.0]}])
def test_a_broken_spectrum_is_refused_with_what_mends_it(change, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"radii": [1, 2], "luma": [1, 1], "chroma": [1, 1]} | change))
    with pytest.raises(ConfigError, match=r"broken\.json cannot be used.*calibrate spectrum"):
        PreconditionedEnhancer(PreconditionedOptions(spectrum=str(path))).acts_on(GRID)


@pytest.mark.parametrize("name, calls", [("preconditioned", 28), ("sk-rock", 22)])
def test_chains_take_them_by_name(name, calls):
    chain = Chain.load("odedit-fast", [f"restore.enhancer={name}"])
    assert chain.plan().calls == calls
    warm = Chain.load("odedit-fast", [f"restore.enhancer={name}", "restore.fidelity=1"])
    assert warm.plan().calls == calls


TOY = """\
odekit: 1
priors: {face: {use: mixture, side: 16}}
chain:
  - restore:
      inverter: {use: ode, solver: dpmpp-2m, steps: 6, top: 0.37}
      enhancer: {use: langevin, levels: [0.1, 0.2], iterations: 2, step: 1.0e-5}
      colour: undo
"""


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "toy.yaml").write_text(TOY)
    images = np.random.Generator(np.random.Philox(2)).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "faces.npz", images=images, split=np.array(["train"] * 4 + ["test"] * 4))
    return "--chain", tmp_path / "toy.yaml", "--data", tmp_path / "faces.npz", "--side", 16


def test_enhancers_are_compared_by_a_command_on_what_the_chain_itself_gives(toy, tmp_path, bench, monkeypatch):
    monkeypatch.setattr("benchmarks.quality.SWD_DRAWS", 1)
    same = "{use: langevin, levels: [0.1, 0.2], iterations: 2, step: 1.0e-5, temperature: 0.6}"
    words = ("enhancers", *toy, "--arm", same.replace("0.6", "0.0"), "--arm", "{use: sk-rock, levels: [0.1]}")
    done = bench(*words, "--keep", tmp_path / "keep", "--json")
    assert done.code == 0, done.err
    own, cold, rock, hurt = json.loads(done.out)["rows"]
    assert (own["calls"], cold["calls"], rock["calls"], hurt["calls"]) == (16, 16, 14, 0)
    assert cold["psnr"] > own["psnr"] and cold["gain"].startswith("+")
    knobs = json.loads(bench("knobs", "fast", *toy, "--against", toy[1], "--json").out)
    assert knobs["rows"][0]["psnr"] == own["psnr"] and knobs["rows"][2]["psnr"] == hurt["psnr"]
    assert json.loads(bench(*words, "--keep", tmp_path / "keep", "--json").out)["rows"][0] == own


def test_the_spectrum_is_calibrated_by_a_command(toy, tmp_path, cli):
    done = cli("calibrate", "spectrum", *toy[2:], "-o", tmp_path / "own.json")
    assert done.code == 0 and "4 train faces" in done.out
    assert load_spectrum(tmp_path / "own.json").luma[0] > 0
    refused = cli("calibrate", "spectrum", "-o", tmp_path / "own.json")
    assert refused.code != 0 and "use --data" in refused.err


def test_what_is_no_enhancer_is_refused(toy, bench):
    refused = bench("enhancers", *toy, "--arm", "{use: sk-rok}")
    assert refused.code == 2 and "sk-rock" in refused.err
