"""The stage `denoise`: clean photographs pass byte for byte, noise is measured and taken off, the rest stays."""

import sys

import numpy as np
import pytest
from photos import PHOTOS

from odekit import Chain, read
from odekit.core.image import Image, Metadata
from odekit.errors import PluginError
from odekit.parts.repair.denoise import MARGIN, DenoiseStage, estimate_noise, nonlocal_means, remove_noise

PHOTO = read(PHOTOS / "astronaut.jpg")


def noisy(photo, std, seed=0):
    rng = np.random.Generator(np.random.Philox(seed))
    added = rng.normal(0, std, photo.pixels.shape if not photo.meta.grey else (1, *photo.pixels.shape[1:]))
    return photo.with_pixels(np.clip(photo.pixels + added, 0, 1).astype(np.float32))


def psnr(a, b):
    return -10 * np.log10(np.mean((a.pixels - b.pixels) ** 2))


def through(photo, **options):
    result = Chain([{"denoise": options}]).run([photo])[0]
    return result.image, result.record["stages"][0]


@pytest.mark.parametrize("name", ["astronaut.jpg", "portrait.jpg", "speakers.jpg"])
def test_a_clean_photograph_passes_byte_for_byte(name):
    photo = read(PHOTOS / name)
    image, facts = through(photo)
    assert image.pixels is photo.pixels
    assert facts["denoised"] is False and facts["noise"] < 0.01


@pytest.mark.parametrize("std", [0.02, 0.05, 0.1])
def test_noise_is_measured_whatever_its_strength(std):
    flat = Image(np.full((3, 256, 256), 0.5, np.float32))
    assert (
        abs(estimate_noise(noisy(flat, std).pixels) / std - 1) < 0.05
    )  # the lower quartile of places, so a little less
    assert abs(estimate_noise(noisy(PHOTO, std).pixels) / std - 1) < 0.2


def test_edges_texture_and_blocks_are_no_noise():
    y, x = np.mgrid[0:256, 0:256]
    ramps = np.stack([x / 256, y / 256, ((x // 16 + y // 16) % 2) * 0.5 + 0.25]).astype(np.float32)
    assert estimate_noise(ramps) < 0.005


def test_black_and_white_say_nothing():
    halves = np.zeros((3, 256, 256), np.float32)
    halves[:, :, 128:] = 1
    assert estimate_noise(halves) == 0.0
    part = halves.copy()
    part[:, 64:, :] = 0.5
    assert estimate_noise(noisy(Image(part), 0.05).pixels) == pytest.approx(0.05, rel=0.1)


def test_a_noisy_photograph_comes_nearer_to_the_truth():
    bad = noisy(PHOTO, 0.08)
    image, facts = through(bad)
    assert facts["denoised"] is True and abs(facts["noise"] - 0.08) < 0.01
    assert psnr(image, PHOTO) > psnr(bad, PHOTO) + 6


def test_options_have_their_effects():
    bad = noisy(PHOTO.with_pixels(np.ascontiguousarray(PHOTO.pixels[:, :192, :192])), 0.05)
    usual, facts = through(bad)
    assert through(bad, least=0.2)[0].pixels is bad.pixels
    assert np.abs(through(bad, noise=facts["noise"])[0].pixels - usual.pixels).max() < 3e-3

    def rough(image):
        return float(np.abs(np.diff(image.pixels, axis=2)).mean())

    assert rough(bad) > rough(through(bad, amount=0.4)[0]) > rough(usual) > rough(through(bad, amount=2.0)[0])


def test_tiles_leave_no_trace(monkeypatch):
    part = Image(np.ascontiguousarray(noisy(PHOTO, 0.08).pixels[:, :150, :170]))
    monkeypatch.setattr("odekit.parts.repair.denoise.TILE", 64)
    assert np.abs(remove_noise(part, 0.08) - nonlocal_means(part.pixels, 0.08)).max() < 1e-6
    assert MARGIN >= 9


def test_a_grey_photograph_comes_nearer_to_the_truth():
    grey = Image(np.repeat(PHOTO.pixels[:1, 60:220, 100:300], 3, axis=0), meta=Metadata(grey=True))
    bad = noisy(grey, 0.08)
    out = through(bad)[0]
    assert np.mean((out.pixels - grey.pixels) ** 2) < 0.3 * np.mean((bad.pixels - grey.pixels) ** 2)


def test_grey_stays_grey_and_alpha_stays():
    grey = np.repeat(PHOTO.pixels[:1, 100:300, 100:300], 3, axis=0)
    alpha = np.full((200, 200), 0.5, np.float32)
    bad = noisy(Image(grey, alpha, Metadata(grey=True, bits=16)), 0.08)
    image, facts = through(bad)
    assert facts["denoised"] is True
    assert np.array_equal(image.pixels[0], image.pixels[1]) and np.array_equal(image.pixels[0], image.pixels[2])
    assert image.alpha is bad.alpha and image.meta == bad.meta


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (40, 40)])
def test_small_pictures_pass(shape):
    photo = noisy(Image(np.full((3, *shape), 0.5, np.float32)), 0.2)
    assert through(photo)[0].pixels is photo.pixels
    assert through(photo, noise=0.2)[0].pixels.shape == photo.pixels.shape


@pytest.mark.parametrize(
    "options,words", [({"noise": 0.0}, "above 0"), ({"noise": "some"}, "auto"), ({"last": 1}, "least")]
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(Exception, match=words):
        Chain([{"denoise": options}])


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(PluginError, match=r"odekit\[photos\]"):
        DenoiseStage()
