"""The stage `denoise`: clean photographs stay byte for byte, noise of every kind is measured and removed."""

import io
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from photos import PHOTOS
from scipy.ndimage import gaussian_filter
from textures import textures

from odekit import Chain, read
from odekit.core.image import Image, Metadata
from odekit.parts.repair import dct
from odekit.parts.repair.denoise import MARGIN, remove_noise, undo_clipping
from odekit.parts.repair.impulses import measure_impulses, remove_impulses
from odekit.parts.repair.noise_level import NoiseLevel, measure_noise

PHOTO = read(PHOTOS / "astronaut.jpg")
NAMES = ["astronaut.jpg", "portrait.jpg", "speakers.jpg"]
PORTRAIT = Image(np.ascontiguousarray(read(PHOTOS / "portrait.jpg").pixels[:, 40:560, 40:560]))


def middle(photo, side):
    top, left = (max(0, n - side) // 2 for n in (photo.height, photo.width))
    return Image(np.ascontiguousarray(photo.pixels[:, top : top + side, left : left + side]))


def noisy(photo, std, seed=0):
    rng = np.random.Generator(np.random.Philox(seed))
    added = rng.normal(0, std, photo.pixels.shape if not photo.meta.grey else (1, *photo.pixels.shape[1:]))
    return photo.with_pixels(np.clip(photo.pixels + added, 0, 1).astype(np.float32))


def rounded(photo):
    return photo.with_pixels((np.rint(photo.pixels * 255) / 255).astype(np.float32))


def grainy(photo, std, size, seed=0):
    """Film grain: noise alike in all channels, blurred so that it is about `size` pixels wide."""
    rng = np.random.Generator(np.random.Philox(seed))
    grain = gaussian_filter(rng.standard_normal(photo.pixels.shape[1:]), size / 2)
    return photo.with_pixels(np.clip(photo.pixels + std * grain / grain.std(), 0, 1).astype(np.float32))


def compressed(photo, quality):
    file = io.BytesIO()
    PIL.Image.fromarray(photo.to_uint8()).save(file, "JPEG", quality=quality)
    return Image.from_uint8(np.asarray(PIL.Image.open(file)))


def salted(photo, share, seed=0):
    draw = np.random.Generator(np.random.Philox(seed)).random(photo.pixels.shape)
    half = np.where(draw < share / 2, 0, photo.pixels)
    return photo.with_pixels(np.where(draw > 1 - share / 2, 1, half).astype(np.float32))


def replaced(photo, share, seed=0):
    rng = np.random.Generator(np.random.Philox(seed))
    draw, values = rng.random(photo.pixels.shape), rng.random(photo.pixels.shape)
    return photo.with_pixels(np.where(draw < share, values, photo.pixels).astype(np.float32))


def psnr(a, b):
    return -10 * np.log10(np.mean((a.pixels - b.pixels) ** 2))


def through(photo, **options):
    result = Chain([{"denoise": options}]).run([photo])[0]
    return result.image, result.record["stages"][0]


# --- what is no noise


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_photograph_passes_byte_for_byte(name):
    photo = read(PHOTOS / name)
    image, facts = through(photo)
    assert image.pixels is photo.pixels
    assert facts["denoised"] is False and facts["noise"] < 0.01
    assert facts["impulses_removed"] is False and facts["impulses"] < 0.001


def test_texture_is_no_noise():
    """A difference of Laplacians, the former measure, gives .02 to .04 for ten of these."""
    assert len(textures()) == 20
    measured = {name: measure_noise(picture).std for name, picture in textures().items()}
    assert max(measured.values()) < 0.006, measured
    assert max(measure_impulses(picture).share for picture in textures().values()) < 0.003


def test_texture_passes_byte_for_byte():
    for name in ("foliage on white", "grass, half", "fabric, twill"):
        photo = Image(textures()[name])
        assert through(photo)[0].pixels is photo.pixels


def test_edges_and_ramps_are_no_noise():
    y, x = np.mgrid[0:256, 0:256]
    ramps = np.stack([x / 256, y / 256, ((x // 16 + y // 16) % 2) * 0.5 + 0.25]).astype(np.float32)
    assert measure_noise(ramps).std < 0.005


# --- what is measured


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_measured_also_where_it_is_clipped(name):
    photo = Image(np.ascontiguousarray(read(PHOTOS / name).pixels[:, :512, :512]))
    stds = (0.02, 0.05, 0.1, 0.2, 0.26, 0.3, 0.4, 0.5)
    measured = [measure_noise(rounded(noisy(photo, std)).pixels).std for std in stds]
    assert measured == sorted(measured)
    for std, found in zip(stds, measured, strict=True):
        assert found == pytest.approx(std, rel=0.15 if std <= 0.3 else 0.25)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("std", [0.05, 0.2, 0.5])
def test_a_clipped_grey_card_has_the_noise_that_was_added(level, std):
    card = noisy(Image(np.full((3, 256, 256), level, np.float32)), std)
    assert measure_noise(card.pixels).std == pytest.approx(std, rel=0.1)


def test_noise_is_seen_in_texture():
    grass = Image(textures()["grass, half"])
    assert measure_noise(noisy(grass, 0.15).pixels).std == pytest.approx(0.15, rel=0.3)


def test_noise_alike_in_all_channels_is_luma_noise():
    level = measure_noise(noisy(PHOTO.with_pixels(PHOTO.pixels[:1].repeat(3, 0)), 0.1).pixels)
    assert level.std == pytest.approx(0.1, rel=0.1)
    grey = Image(np.repeat(PHOTO.pixels[:1], 3, 0), meta=Metadata(grey=True))
    luma, *chroma = measure_noise(noisy(grey, 0.1).pixels).spectrum.mean((1, 2))
    assert luma == pytest.approx(np.sqrt(3) * 0.1, rel=0.1) and max(chroma) < 1e-6


@pytest.mark.parametrize("size,gain,error", [(1, 7.5, 0.15), (2, 5.5, 0.15), (3, 4, 0.25)])
def test_film_grain_is_measured_and_taken_off(size, gain, error):
    photo = PORTRAIT
    bad = grainy(photo, 0.07, size)
    level = measure_noise(bad.pixels)
    assert level.size == size and level.std == pytest.approx(0.07, rel=error)
    image, facts = through(bad)
    assert facts["denoised"] is True and facts.get("grain", 1) == size
    assert psnr(image, photo) > psnr(bad, photo) + gain
    half = through(bad, amount=0.5)[0]
    assert np.abs(half.pixels - bad.pixels).mean() < 0.9 * np.abs(image.pixels - bad.pixels).mean()


@pytest.mark.parametrize("name", NAMES)
def test_coarse_grain_is_measured_in_small_pictures_too(name):
    """256 pixels, as of an aligned face: no large flat place, and no reduced copy of a useful size."""
    photo = middle(read(PHOTOS / name), 256)
    for size in (2, 3):
        for std in (0.03, 0.06):
            assert measure_noise(rounded(grainy(photo, std, size)).pixels).std == pytest.approx(std, rel=0.2)


def test_grain_of_each_channel_has_its_chroma():
    photo = middle(PORTRAIT, 384)
    rng = np.random.Generator(np.random.Philox(0))
    grain = np.stack([gaussian_filter(plane, 1.0) for plane in rng.standard_normal(photo.pixels.shape)])
    bad = photo.with_pixels(np.clip(photo.pixels + 0.06 * grain / grain.std(), 0, 1).astype(np.float32))
    level = measure_noise(bad.pixels)
    stds = np.sqrt(np.square(level.spectrum).mean((1, 2)))
    assert level.std == pytest.approx(0.06, rel=0.1) and stds == pytest.approx([0.06] * 3, rel=0.2)


def test_coarse_grain_counts_as_it_is_seen():
    photo = middle(PORTRAIT, 384)
    bad = rounded(grainy(photo, 0.018, 2))
    image, facts = through(bad)
    assert facts["noise"] < 0.02 < 0.03 < facts["noise_visible"] and facts["denoised"] is True
    assert psnr(image, photo) > psnr(bad, photo) + 3
    assert through(bad, least_grain=0.1)[0].pixels is bad.pixels
    fine = rounded(noisy(photo, 0.018))
    assert through(fine)[0].pixels is fine.pixels


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_measured_under_jpeg_compression(name):
    photo = middle(read(PHOTOS / name), 512)
    for quality, least, most in ((90, 0.9, 1.15), (75, 0.85, 1.1), (60, 0.75, 1.1), (50, 0.7, 1.1)):
        bad, clean = compressed(noisy(photo, 0.07), quality), compressed(photo, quality)
        left = float((bad.pixels - clean.pixels).std())
        assert least * left < measure_noise(bad.pixels).std < most * left, quality


@pytest.mark.parametrize("quality,gain", [(90, 7.5), (75, 5), (50, 3)])
def test_noise_is_taken_off_under_jpeg_compression(quality, gain):
    photo = PORTRAIT
    bad = compressed(noisy(photo, 0.07), quality)
    image, facts = through(bad)
    assert facts["denoised"] is True and facts["noise"] > 0.025
    assert psnr(image, photo) > psnr(bad, photo) + gain


def test_unknown_is_said_and_is_not_zero():
    halves = np.zeros((3, 256, 256), np.float32)
    halves[:, :, 128:] = 1
    image, facts = through(Image(halves))
    assert facts["noise"] is None and facts["noise_unknown"] == "nearly all of it is black or white"
    assert facts["denoised"] is False and image.pixels is halves
    assert through(Image(np.full((3, 20, 20), 0.5, np.float32)))[1]["noise_unknown"] == "too small"
    part = halves.copy()
    part[:, 64:, :] = 0.5
    bad = part + np.where(part == 0.5, noisy(Image(np.full_like(part, 0.5)), 0.05).pixels - 0.5, 0)
    assert measure_noise(bad.astype(np.float32)).std == pytest.approx(0.05, rel=0.1)


# --- what is removed


@pytest.mark.parametrize("std,gain", [(0.05, 6.5), (0.1, 8.5), (0.3, 11), (0.5, 11.5)])
def test_a_noisy_photograph_comes_nearer_to_the_truth(std, gain):
    """Non-local means with the true noise, the former method, gain 6.0, 7.8, 6.9 and 6.5 dB on its middle 320 pixels."""
    bad = noisy(PHOTO, std)
    image, facts = through(bad)
    assert facts["denoised"] is True and facts["noise"] == pytest.approx(std, rel=0.1)
    assert psnr(image, PHOTO) > psnr(bad, PHOTO) + gain


def test_the_shift_of_clipped_noise_is_taken_back():
    steps = np.linspace(0.02, 0.98, 12, dtype=np.float32).repeat(2000)
    clean = np.broadcast_to(steps, (1, 40, steps.size)).copy()
    clipped = np.clip(clean + np.random.default_rng(0).normal(0, 0.4, clean.shape), 0, 1).astype(np.float32)
    mean = clipped.reshape(1, 40, 12, 2000).mean((1, 3), keepdims=True) + np.zeros((1, 40, 12, 2000), np.float32)
    back = undo_clipping(mean.reshape(clean.shape).astype(np.float32), clipped, 0.4)
    assert np.abs(back - clean).max() < 0.01 < 0.1 < np.abs(mean.reshape(clean.shape) - clean).max()
    assert np.array_equal(undo_clipping(clean, clean, 0.4), clean)  # nothing was clipped


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_salt_and_pepper_are_measured_and_replaced(share):
    bad = salted(PHOTO, share)
    impulses = measure_impulses(bad.pixels)
    assert impulses.salt_pepper and impulses.share == pytest.approx(share, rel=0.25)
    image, facts = through(bad)
    assert facts["impulses_removed"] is True and facts["denoised"] is False
    assert psnr(image, PHOTO) > 31
    assert through(bad, impulses=False, noise=0.3, least=1)[0].pixels is bad.pixels


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_values_replaced_at_random_are_measured_and_replaced(share):
    bad = replaced(PHOTO, share)
    impulses = measure_impulses(bad.pixels)
    assert not impulses.salt_pepper and 0.6 * share < impulses.share < 1.1 * share
    assert psnr(Image(remove_impulses(bad, impulses)), PHOTO) > psnr(bad, PHOTO) + 6


@pytest.mark.parametrize("std", [0.05, 0.2, 0.3, 0.5])
def test_strong_gaussian_noise_is_no_impulse_noise(std):
    assert measure_impulses(noisy(PHOTO, std).pixels).share < 0.001
    assert measure_impulses(noisy(Image(np.full((3, 128, 128), 0.1, np.float32)), std).pixels).share < 0.001


def test_impulses_and_noise_together_are_both_removed():
    bad = salted(noisy(PHOTO, 0.08), 0.1)
    image, facts = through(bad)
    assert facts["impulses_removed"] and facts["denoised"] and facts["noise"] == pytest.approx(0.08, rel=0.2)
    assert psnr(image, PHOTO) > psnr(bad, PHOTO) + 13


def test_highlights_are_no_salt():
    photo = PHOTO.pixels.copy()
    photo[:, 300:303, 300:303] = 1  # nine pixels: a glint
    bad = salted(Image(photo), 0.01)
    assert remove_impulses(bad, measure_impulses(bad.pixels))[:, 301, 301].min() == 1


def test_options_have_their_effects():
    bad = noisy(PHOTO.with_pixels(np.ascontiguousarray(PHOTO.pixels[:, :192, :192])), 0.05)
    usual, facts = through(bad)
    assert through(bad, least=0.2, least_grain=0.2)[0].pixels is bad.pixels
    assert np.abs(through(bad, noise=facts["noise"])[0].pixels - usual.pixels).mean() < 3e-3

    def rough(image):
        return float(np.abs(np.diff(image.pixels, axis=2)).mean())

    assert rough(bad) > rough(through(bad, amount=0.4)[0]) > rough(usual) > rough(through(bad, amount=2.0)[0])
    few = salted(PHOTO, 0.003)
    assert through(few)[1]["impulses_removed"] is False
    assert through(few, least_impulses=0.001)[1]["impulses_removed"] is True
    assert through(few, impulses=True)[1]["impulses_removed"] is True
    assert "impulses" not in through(few, impulses=False)[1]


def test_tiles_leave_no_trace(monkeypatch):
    part = Image(np.ascontiguousarray(noisy(PHOTO, 0.08).pixels[:, :150, :170]))
    whole = remove_noise(part, NoiseLevel(0.08))
    monkeypatch.setattr("odekit.parts.repair.denoise.TILE", 64)
    assert np.abs(remove_noise(part, NoiseLevel(0.08)) - whole).max() < 1e-5
    assert MARGIN >= 2 * dct.SIDE


def test_the_transform_is_scipys():
    from scipy.fft import dctn, idctn

    blocks = np.random.default_rng(0).random((5, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(
        dct.transform(blocks, dct.dct_matrix()), dctn(blocks, axes=(1, 2), norm="ortho"), atol=1e-5
    )
    back = idctn(blocks, axes=(1, 2), norm="ortho")
    np.testing.assert_allclose(dct.transform(blocks, dct.dct_matrix().T), back, atol=1e-5)


def test_the_transform_has_the_same_bytes_for_any_number_of_threads():
    """Of the library of matrices: they would decide which coefficients are kept, and change denoised pixels visibly."""
    code = (
        "import hashlib, numpy\nfrom odekit.parts.repair.dct import dct_matrix, transform\n"
        "blocks = numpy.random.default_rng(0).random((4001, 16, 16), numpy.float32)\n"
        "print(hashlib.sha256(transform(blocks, dct_matrix()).tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"OPENBLAS_NUM_THREADS": threads}, capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_a_grey_photograph_comes_nearer_to_the_truth():
    grey = Image(np.repeat(PHOTO.pixels[:1, 60:220, 100:300], 3, axis=0), meta=Metadata(grey=True))
    bad = noisy(grey, 0.08)
    out = through(bad)[0]
    assert np.mean((out.pixels - grey.pixels) ** 2) < 0.3 * np.mean((bad.pixels - grey.pixels) ** 2)


def test_grey_stays_grey_and_alpha_stays():
    grey = np.repeat(PHOTO.pixels[:1, 100:300, 100:300], 3, axis=0)
    alpha = np.full((200, 200), 0.5, np.float32)
    bad = noisy(Image(grey, alpha, Metadata(grey=True, bits=16)), 0.08)
    specks = np.random.default_rng(0).random((1, 200, 200)) < 0.05
    bad = bad.with_pixels(np.where(specks, np.float32(1), bad.pixels))
    image, facts = through(bad)
    assert facts["denoised"] is True and facts["impulses_removed"] is True
    assert np.array_equal(image.pixels[0], image.pixels[1]) and np.array_equal(image.pixels[0], image.pixels[2])
    assert image.alpha is bad.alpha and image.meta == bad.meta


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (40, 40)])
def test_small_pictures_pass(shape):
    photo = noisy(Image(np.full((3, *shape), 0.5, np.float32)), 0.02)
    assert through(photo, least=0.05)[0].pixels is photo.pixels
    assert through(photo, noise=0.2)[0].pixels.shape == photo.pixels.shape


@pytest.mark.parametrize(
    "options,words", [({"noise": 0.0}, "above 0"), ({"noise": "some"}, "auto"), ({"last": 1}, "least")]
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(Exception, match=words):
        Chain([{"denoise": options}])
