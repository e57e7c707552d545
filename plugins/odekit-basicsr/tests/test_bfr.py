"""The corruption `bfr`: equality with basicsr's functions for equal parameters, seeding per picture, options."""

import json
import random
import sys

import cv2
import numpy as np
import pytest
from odekit_basicsr import library
from odekit_basicsr.bfr import BlindFace, DegradationParameters
from odekit_basicsr.options import RECIPES, Bfr, Ranges

from odekit import read, write
from odekit.core.image import Image
from odekit.errors import ConfigError, OptionError, PluginError
from odekit.evaluation.degrade.recipe import damage, select


def global_state():
    """State of the global generators and numpy settings of the process."""
    return np.geterr(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002


BEFORE = global_state()
basicsr = library.module("data.degradations")
AFTER = global_state()


def picture(seed=0, height=96, width=80):
    """Smooth colours with edges."""
    rng = np.random.default_rng(seed)
    small = rng.random((3, 9, 9), dtype=np.float32)
    big = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_NEAREST) for plane in small])
    return Image.from_uint8(np.rint(255 * big.transpose(1, 2, 0)).astype(np.uint8))


def generator(seed=0):
    return np.random.Generator(np.random.Philox(seed))


PLAIN = DegradationParameters("iso", (2.0, 2.0), 0.0, 1.0, 2.0, 8.0, 70, (0.0, 0.0, 0.0), False, False)


# The steps


@pytest.mark.parametrize("seed", range(6))
def test_a_picture_is_damaged_as_basicsrs_own_functions_do_it(seed, monkeypatch):
    """The sequence of GFPGAN's training, with basicsr's random functions replaced by the drawn values."""
    part, image = BlindFace(Bfr()), picture(seed)
    draw = part.draw(generator(seed))
    theirs = np.ascontiguousarray(image.pixels[::-1].transpose(1, 2, 0))
    kernel = basicsr.bivariate_Gaussian(41, *draw.sigma, draw.angle, isotropic=draw.kernel == "iso")
    theirs = cv2.filter2D(theirs, -1, kernel)
    theirs = cv2.resize(theirs, (int(80 // draw.factor), int(96 // draw.factor)), interpolation=cv2.INTER_LINEAR)
    monkeypatch.setattr(np.random, "randn", np.random.RandomState(seed).randn)
    theirs = basicsr.add_gaussian_noise(theirs, sigma=draw.noise, clip=True, rounds=False)
    theirs = basicsr.add_jpg_compression(theirs.astype(np.float32), draw.quality)
    theirs = cv2.resize(theirs, (80, 96), interpolation=cv2.INTER_LINEAR)
    # The same stream of normal numbers, by the interface that the part draws from.
    mine = part.apply(np.ascontiguousarray(image.pixels[::-1].transpose(1, 2, 0)), draw, np.random.RandomState(seed))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("kind", ["iso", "aniso"])
@pytest.mark.parametrize("shape", ["", "generalized_", "plateau_"])
def test_kernels_are_basicsrs_and_sum_to_one(shape, kind, monkeypatch):
    draw = DegradationParameters(shape + kind, (4.0, 1.5), 0.5, 0.7, 2.0, 8.0, 70, (0.0, 0.0, 0.0), False, False)
    mine = BlindFace(Bfr(kernel_side=21)).kernel(draw)
    fixed = {
        "sigma_x_range": (4.0, 4.0 + 1e-12),
        "sigma_y_range": (1.5, 1.5 + 1e-12),
        "rotation_range": (0.5, 0.5 + 1e-12),
    }
    beta = (0.7, 0.7 + 1e-12)
    # In place of random numbers the lower ends; below one half, beta is drawn from its lower range.
    monkeypatch.setattr(np.random, "uniform", lambda low=0.0, high=1.0, size=None: low)
    theirs = basicsr.random_mixed_kernels([shape + kind], [1], 21, **fixed, betag_range=beta, betap_range=beta)
    assert mine.shape == (21, 21)
    assert mine.sum() == pytest.approx(1)
    np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_colours_keep_their_places():
    red = Image.from_uint8(np.full((64, 64, 3), (200, 90, 30), np.uint8))
    mild = Bfr(blur=[0.1, 0.1], downsample=[1, 1], noise=[0, 0], jpeg=[100, 100])
    out = BlindFace(mild).corrupt(red, generator()).to_uint8()
    assert np.abs(out.astype(int) - (200, 90, 30)).max() <= 2


def test_alpha_and_metadata_stay_and_levels_are_whole():
    image = picture()
    image = Image(image.pixels, alpha=np.full((96, 80), 0.25, np.float32), meta=image.meta, origin="x")
    out = BlindFace().corrupt(image, generator())
    assert out.alpha is image.alpha
    assert out.meta is image.meta
    assert out.origin == "x"
    np.testing.assert_allclose(out.pixels * 255, np.rint(out.pixels * 255), atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 300), (16, 16), (513, 7)])
def test_any_size_is_kept(height, width):
    for seed in range(3):
        out = BlindFace(Bfr(recipe="codeformer-large")).corrupt(picture(0, height, width), generator(seed))
        assert out.pixels.shape == (3, height, width)
        assert np.isfinite(out.pixels).all()


# Seeds


def test_a_picture_s_damage_depends_on_seed_and_picture_alone():
    a, b = picture(1), picture(2)
    alone = damage(a, "bfr", seed=5)
    damage(b, "bfr", seed=5)
    again = damage(a, "bfr", seed=5)
    assert np.array_equal(alone.pixels, again.pixels)
    assert not np.array_equal(alone.pixels, damage(a, "bfr", seed=6).pixels)


def test_global_generators_do_not_change():
    before = global_state()
    BlindFace().corrupt(picture(), generator())
    assert global_state() == before


# Ranges


def draws(count=800, **options):
    part, rng = BlindFace(Bfr(**options)), generator(1)
    return [part.draw(rng) for _ in range(count)]


def spread(values):
    return min(values), max(values)


@pytest.mark.parametrize("recipe", RECIPES)
def test_draws_fill_the_published_ranges_evenly(recipe):
    drawn, ranges = draws(recipe=recipe), RECIPES[recipe]
    seen = {
        "blur": [d.sigma[0] for d in drawn],
        "downsample": [d.factor for d in drawn],
        "noise": [d.noise for d in drawn],
        "jpeg": [d.quality for d in drawn],
    }
    for name, values in seen.items():
        low, high = getattr(ranges, name)
        assert low <= min(values) <= max(values) <= high, name
        # Evenly: mean and standard deviation of a uniform distribution, within five standard errors.
        width = high - low
        assert abs(np.mean(values) - (low + high) / 2) < 5 * width / np.sqrt(12 * len(values)) + 0.5 * (name == "jpeg")
        assert np.std(values) == pytest.approx(width / np.sqrt(12), rel=0.08), name


def test_severity_four_is_published_and_the_harsh_ends_move_with_it():
    assert Bfr().ranges() == RECIPES["gfpgan"]
    assert Bfr(severity=1).ranges() == Ranges((0.1, 2.575), (0.8, 2.6), (0, 5), (90, 100))
    assert Bfr(severity=5).ranges() == Ranges((0.1, 12.475), (0.8, 9.8), (0, 25), (50, 100))


@pytest.mark.parametrize("recipe", RECIPES)
def test_damage_grows_with_severity(recipe):
    images = [picture(seed, 128, 128) for seed in range(4)]

    def loss(severity):
        part = BlindFace(Bfr(recipe=recipe, severity=severity))
        return np.mean(
            [np.square(part.corrupt(i, generator(n)).pixels - i.pixels).mean() for n, i in enumerate(images)]
        )

    losses = [loss(severity) for severity in range(1, 6)]
    assert losses == sorted(losses)
    assert losses[4] > 1.5 * losses[0]


# Options


@pytest.mark.parametrize(
    ("name", "value", "of"),
    [
        ("blur", [3, 4], lambda d: d.sigma[0]),
        ("downsample", [2, 3], lambda d: d.factor),
        ("noise", [30, 40], lambda d: d.noise),
        ("jpeg", [10, 20], lambda d: d.quality),
    ],
)
def test_an_explicit_range_is_not_scaled_and_changes_nothing_else(name, value, of):
    mine, default = draws(200, severity=1, **{name: value}), draws(200, severity=1)
    low, high = spread([of(d) for d in mine])
    assert value[0] <= low < high <= value[1]
    for a, b in zip(mine, default, strict=True):
        same = [x == y for x, y in zip(a.__dict__.values(), b.__dict__.values(), strict=True)]
        assert same.count(False) <= 1


def test_kernels_are_drawn_by_their_odds():
    names = ["iso", "plateau_aniso", "generalized_iso"]
    drawn = [d.kernel for d in draws(600, kernels=names, odds=[1, 3, 0])]
    assert drawn.count("generalized_iso") == 0
    assert drawn.count("plateau_aniso") / 600 == pytest.approx(0.75, abs=0.06)
    assert {d.kernel for d in draws(50)} == {"iso", "aniso"}


def test_long_kernels_have_two_widths_and_round_ones_one():
    for draw in draws(100):
        assert (draw.sigma[0] == draw.sigma[1]) is (draw.kernel == "iso")
        assert -np.pi <= draw.angle <= np.pi


def test_beta_is_below_one_as_often_as_above():
    values = np.array([d.beta for d in draws(600, beta=[0.8, 3])])
    assert 0.8 <= values.min() < values.max() <= 3
    assert np.mean(values < 1) == pytest.approx(0.5, abs=0.08)


def test_the_kernels_side_cuts_wide_kernels_off():
    part = {side: BlindFace(Bfr(blur=[9, 9], kernel_side=side)) for side in (5, 41)}
    out = [p.corrupt(picture(), generator()).pixels for p in part.values()]
    assert np.abs(out[0] - out[1]).mean() > 0.01


def test_noise_can_be_grey():
    flat = Image(np.full((3, 64, 64), 0.5, np.float32))
    quiet = {"blur": [1, 1], "downsample": [1, 1], "noise": [20, 20], "jpeg": [100, 100]}
    grey, coloured = (BlindFace(Bfr(**quiet, grey_noise=often)).corrupt(flat, generator()).pixels for often in (1, 0))
    assert np.ptp(grey, axis=0).max() <= 2 / 255
    assert np.ptp(coloured, axis=0).mean() > 0.03
    assert grey.std() * 255 == pytest.approx(20, rel=0.05)


def test_colours_shift_and_go_when_asked():
    drawn = draws(400, colour=0.25, colour_shift=10)
    shifted = [d.shift for d in drawn if any(d.shift)]
    assert len(shifted) / 400 == pytest.approx(0.25, abs=0.07)
    assert -10 <= np.min(shifted) < -8
    assert 8 < np.max(shifted) <= 10
    assert not any(any(d.shift) or d.grey for d in draws(100))
    out = BlindFace(Bfr(grey=1)).corrupt(picture(), generator()).pixels
    assert np.ptp(out, axis=0).max() == 0
    flat = Image(np.full((3, 32, 32), 0.5, np.float32))
    mild = {"blur": [0.1, 0.1], "downsample": [1, 1], "noise": [0, 0], "jpeg": [100, 100]}
    part = BlindFace(Bfr(**mild, colour=1))
    blue, green, red = part.draw(generator()).shift
    means = part.corrupt(flat, generator()).pixels.mean((1, 2)) * 255
    np.testing.assert_allclose(means, 128 + np.array([red, green, blue]), atol=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"severity": 6}, "whole number from 1"),
        ({"blur": [3, 1]}, "must not exceed the upper end"),
        ({"jpeg": [0, 50]}, "is outside 1 to 100"),
        ({"downsample": [0, 2]}, "is outside 0.1 to 100"),
        ({"kernel_side": 40}, "39 or 41"),
        ({"kernels": ["iso"], "odds": [1, 2]}, "2 odds for 1 kernels"),
        ({"odds": [0, 0]}, "at least one must be positive"),
        ({"beta": [2, 3]}, "must include 1 .the Gaussian."),
        ({"kernels": ["round"]}, "plateau_aniso"),
        ({"blure": [1, 2]}, "blure"),
    ],
)
def test_invalid_options_are_errors(options, said):
    with pytest.raises(OptionError, match=said):
        Bfr(**options)


# As a part


def test_the_command_line_damages_files_and_notes_how(tmp_path):
    from typer.testing import CliRunner

    from odekit.cli import app

    write(picture(), tmp_path / "face.png", format="png")
    words = ["degrade", tmp_path / "face.png", "-o", tmp_path / "out", "--kind", "bfr", "--set", "jpeg=[20, 30]"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    (step,) = json.loads((tmp_path / "out" / "manifest.jsonl").read_text())["steps"]
    assert (step["use"], step["severity"], step["jpeg"]) == ("bfr", 4, [20, 30])
    expected = select("bfr", 4, settings="jpeg: [20, 30]").recipes[0].apply(read(tmp_path / "face.png"), 0)
    assert np.array_equal(read(tmp_path / "out" / "face.png").pixels, expected.pixels)


def test_a_wrong_option_is_named_on_the_command_line():
    with pytest.raises(ConfigError, match="did you mean 'blur'"):
        select("bfr", 4, settings="blurr: [1, 2]")


# The import


def test_importing_basicsr_leaves_nothing_behind():
    assert BEFORE == AFTER
    assert np.geterr()["divide"] == "warn"
    assert basicsr.__name__ == "basicsr.data.degradations"
    assert library.ALIAS not in sys.modules


def test_without_basicsr_the_error_says_what_to_install(monkeypatch):
    library.module.cache_clear()
    monkeypatch.setitem(sys.modules, "basicsr", None)
    for name in [name for name in sys.modules if name.startswith("basicsr.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PluginError, match=r"pip install --no-deps --no-build-isolation basicsr==1\.4\.2"):
        BlindFace()
    assert library.ALIAS not in sys.modules
    library.module.cache_clear()
