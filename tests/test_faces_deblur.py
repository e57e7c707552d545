"""Uniform blur of photographs: its width and kind are estimated from the spectrum, and it is removed."""

import io
import json

import numpy as np
import PIL.Image
import pytest
from photos import PHOTOS
from scipy.ndimage import convolve, gaussian_filter
from scipy.special import j1

from odekit import Chain, read
from odekit.core.image import Image, Metadata
from odekit.evaluation.experiments.faces import face_set
from odekit.images.resize import area_resize_image
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.corruptions.photo import STRENGTHS, damage
from odekit.parts.repair import blur_fit, deblur

PHOTO = read(PHOTOS / "astronaut.jpg")


def rounded(pixels):
    return Image.from_uint8((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))


def law(slope, side=512, seed=0):
    """A grey picture (3, S, S) whose power falls by the law of photographs, of mean 0.5."""
    rng = np.random.Generator(np.random.Philox(seed))
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    f[0, 0] = 1
    waves = np.fft.rfft2(rng.standard_normal((side, side))) * f ** (-slope / 2)
    waves[0, 0] = 0
    y = np.fft.irfft2(waves, (side, side))
    return np.repeat((0.5 + 0.12 * y / y.std())[None], 3, 0).astype(np.float32)


def gaussian(pixels, sigma):
    return gaussian_filter(pixels, (0, sigma, sigma), mode="reflect")


def lens(pixels, radius):
    reach = int(np.ceil(radius)) + 1
    fine = np.linspace(-reach - 0.5, reach + 0.5, 10 * (2 * reach + 1), endpoint=False) + 0.05
    kernel = (np.hypot(fine[:, None], fine) <= radius).reshape(2 * reach + 1, 10, -1, 10).mean((1, 3))
    return convolve(pixels, (kernel / kernel.sum())[None], mode="reflect")


def shaken(pixels, length):
    return convolve(pixels, np.full((1, 1, length), 1 / length, np.float32))


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


# --- estimates


@pytest.mark.parametrize("slope", [2.0, 2.8])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_a_gaussian_is_identified_by_its_standard_deviation(slope, sigma):
    blur = deblur.estimate_blur(rounded(gaussian(law(slope), sigma)).pixels)
    assert not blur.disc
    assert blur.sigma == pytest.approx(sigma, rel=0.07)
    assert blur.slope == pytest.approx(slope, abs=0.5)


@pytest.mark.parametrize("radius", [3.0, 4.0, 6.0])
def test_a_defocus_blur_is_identified_by_its_radius(radius):
    blur = deblur.estimate_blur(rounded(lens(law(2.4), radius)).pixels)
    assert blur.disc
    assert 2 * blur.sigma == pytest.approx(radius, rel=0.05)


def test_what_a_disc_lets_pass_is_bessels_function():
    f = np.linspace(0.001, 0.5, 300)
    for radius in (1.5, 4.0, 11.9):
        x = 2 * np.pi * radius * f
        np.testing.assert_allclose(blur_fit.disc_response(radius, f), 2 * j1(x) / x, atol=1e-9)


@pytest.mark.parametrize("name", ["astronaut.jpg", "portrait.jpg", "speakers.jpg"])
def test_sharp_photographs_are_far_from_blurred(name):
    photo = read(PHOTOS / name)
    assert deblur.estimate_blur(photo.pixels).sigma < 0.7
    half = photo.with_pixels(np.ascontiguousarray(photo.pixels[:, :200, :200]))
    assert deblur.estimate_blur(half.pixels).sigma < 0.8


@pytest.mark.parametrize(
    "pixels",
    [
        shaken(PHOTO.pixels, 9),
        np.where(np.arange(512) < 256, PHOTO.pixels, gaussian(PHOTO.pixels, 3)),  # a sharp half
        np.full((3, 128, 128), 0.5, np.float32),
        np.random.default_rng(0).random((3, 128, 128), np.float32),
        PHOTO.pixels[:, :40, :40],
        np.zeros((3, 1, 1), np.float32),
    ],
    ids=["shaken", "half", "flat", "noise", "small", "pixel"],
)
def test_what_is_not_evenly_blurred_is_not_taken_for_it(pixels):
    assert deblur.estimate_blur(pixels).sigma < 1.2


# --- what is done


def test_without_noise_the_filter_divides_by_the_blur():
    blur = blur_fit.Blur(1.5, False, 1.0, 2.0, 1e-30, 0.0)
    f = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64))
    near = (f > 0.02) & (f < 0.25)
    passed = np.exp(-2 * np.pi**2 * 1.5**2 * f**2)
    np.testing.assert_allclose(deblur.wiener_filter((64, 64), blur)[near], 1 / passed[near], rtol=1e-6)
    assert deblur.wiener_filter((64, 64), blur)[0, 0] == 1


def test_a_worse_fit_and_more_noise_sharpen_less():
    def largest(noise, misfit):
        return deblur.wiener_filter((64, 64), blur_fit.Blur(2.0, False, 1e-4, 2.5, noise, misfit)).max()

    assert largest(1e-6, 0.05) > largest(1e-6, 0.2) > 1
    assert largest(1e-6, 0.05) > largest(1e-5, 0.05) > 1


@pytest.mark.parametrize(
    "damage,gain",
    [
        (lambda p: gaussian(p, 1.5), 4.0),
        (lambda p: gaussian(p, 3), 3.0),
        (lambda p: lens(p, 4), 3.0),
        (lambda p: gaussian(p, 2) + np.random.default_rng(1).normal(0, 2 / 255, p.shape), 2.0),
    ],
    ids=["narrow", "wide", "lens", "grain"],
)
def test_a_blurred_photograph_comes_nearer_to_the_truth(damage, gain):
    blurred = rounded(damage(PHOTO.pixels))
    blur = deblur.estimate_blur(blurred.pixels)
    sharp = deblur.remove_blur(blurred, blur)
    assert sharp.dtype == np.float32
    assert psnr(sharp, PHOTO.pixels) > psnr(blurred.pixels, PHOTO.pixels) + gain


def test_only_light_changes_and_its_mean_stays():
    blurred = rounded(0.2 + 0.5 * gaussian(PHOTO.pixels, 2))
    change = deblur.remove_blur(blurred, deblur.estimate_blur(blurred.pixels)) - blurred.pixels
    assert np.abs(change[0] - change[1]).max() < 1e-6 and np.abs(change[0] - change[2]).max() < 1e-6
    assert abs(change.mean()) < 1e-3


def test_tiles_leave_no_trace(monkeypatch):
    blurred = rounded(gaussian(PHOTO.pixels, 2))
    blur = deblur.estimate_blur(blurred.pixels)
    whole = deblur.remove_blur(blurred, blur)
    monkeypatch.setattr(deblur, "TILE", 160)
    assert np.abs(deblur.remove_blur(blurred, blur) - whole).max() < 1.5 / 255


# --- in the stage


def through(photo, **options):
    result = Chain([{"mend": {"scratches": False} | options}]).run([photo])[0]
    return result.image, result.record["stages"][0]


def test_options_and_the_record():
    blurred = rounded(gaussian(PHOTO.pixels, 2))
    image, facts = through(blurred)
    assert facts["mended"] == ["blur"] and facts["blur"] == pytest.approx(2, rel=0.1)
    assert through(blurred, blur=False)[0].pixels is blurred.pixels
    assert "blur" not in through(blurred, blur=False)[1]
    assert through(blurred, least_blur=3)[0].pixels is blurred.pixels
    assert through(blurred, least_blur=3, blur=True)[1]["mended"] == ["blur"]
    half = through(blurred, amount=0.5)[0]
    assert np.abs((image.pixels + blurred.pixels) / 2 - half.pixels).max() < 1e-6


def test_blocks_are_not_sharpened():
    rng = np.random.Generator(np.random.Philox(0))
    blocky = Image.from_uint8(corrupt(rounded(gaussian(PHOTO.pixels, 2)).to_uint8(), "jpeg", 3, rng, "224"))
    facts = through(blocky)[1]
    assert facts["mended"] == ["blocks"] and "blur" not in facts


def test_nothing_is_changed_without_a_measured_blur():
    assert deblur.remove_blur(PHOTO, blur_fit.NO_BLUR) is PHOTO.pixels


def test_grey_stays_grey_and_alpha_and_bits_stay():
    grey = np.repeat(gaussian(PHOTO.pixels[:1], 2), 3, 0)
    photo = Image(grey, np.full((512, 512), 0.5, np.float32), Metadata(grey=True, bits=16))
    image, facts = through(photo)
    assert facts["mended"] == ["blur"]
    assert np.array_equal(image.pixels[0], image.pixels[1]) and np.array_equal(image.pixels[0], image.pixels[2])
    assert image.alpha is photo.alpha and image.meta == photo.meta


# --- aligned faces


def faces():
    """Sixteen faces of the test split, 64 px."""
    return [Image.from_uint8(face) for face in face_set(None, 64).test[:16]]


@pytest.mark.parametrize(
    "kind,severity,sharpened,gain",
    [
        ("gaussian_blur", 2, 15, 4.0),
        ("gaussian_blur", 3, 15, 3.0),
        ("gaussian_blur", 5, 12, 2.0),
        ("defocus_blur", 4, 8, 1.5),
    ],
)
def test_blurred_faces_come_nearer_to_the_truth(kind, severity, sharpened, gain):
    gains = []
    for i, face in enumerate(faces()):
        blurred = Image.from_uint8(corrupt(face.to_uint8(), kind, severity, np.random.default_rng(i), "64"))
        sharp, facts = deblur.deblur_face(blurred)
        gains.append(psnr(sharp.pixels, face.pixels) - psnr(blurred.pixels, face.pixels) if facts else 0.0)
    assert sum(g != 0 for g in gains) >= sharpened
    assert np.mean(gains) > gain and min(gains) >= 0


@pytest.mark.parametrize(
    "kind", ["", "gaussian_noise", "glass_blur", "motion_blur", "jpeg", "pixelate", "contrast", "fog", "mask_lines"]
)
def test_other_faces_stay_to_the_last_bit(kind):
    for i, face in enumerate(faces()):
        hurt = face
        if kind:
            hurt = Image.from_uint8(corrupt(face.to_uint8(), kind, 3, np.random.default_rng(i), "64"))
        same, facts = deblur.deblur_face(hurt)
        assert same is hurt and facts == {}


def large_faces(count=6):
    """Faces of the test split, 256 px; their detail above 64 px is interpolated, so they serve only when blurred."""
    planes = [face.to_uint8() for face in faces()[:count]]
    return [np.asarray(PIL.Image.fromarray(p).resize((256, 256), PIL.Image.Resampling.BICUBIC)) for p in planes]


def resized_levels(levels, side):
    return np.asarray(PIL.Image.fromarray(levels).resize((side, side), PIL.Image.Resampling.BICUBIC))


def compressed(levels, quality):
    file = io.BytesIO()
    PIL.Image.fromarray(levels).save(file, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(file))


def deblurred(levels):
    """What `restore` does with a crop: (the face at 64 px, the same sharpened, facts)."""
    crop = Image.from_uint8(np.ascontiguousarray(levels))
    face = area_resize_image(crop, 64, 64)
    return face, *deblur.deblur_face(face, crop)


@pytest.mark.parametrize("sigma", [4.0, 6.0, 10.0])
def test_a_blurred_crop_is_still_sharpened(sigma):
    gains = []
    for levels in large_faces():
        blurred = np.rint(gaussian_filter(levels.astype(float), (sigma, sigma, 0))).astype(np.uint8)
        face, sharp, facts = deblurred(blurred)
        clean = area_resize_image(Image.from_uint8(levels), 64, 64).pixels
        assert facts
        gains.append(psnr(sharp.pixels, clean) - psnr(face.pixels, clean))
    assert np.mean(gains) > 3


@pytest.mark.parametrize("side", [32, 40, 48, 96])
@pytest.mark.parametrize("quality", [None, 85, 60])
def test_a_small_enlarged_face_is_not_sharpened(side, quality):
    """Its softness comes from interpolation, and blocks become worms; most of 48 pixels passed for blurred before."""
    for levels in large_faces():
        small = resized_levels(levels, side)
        enlarged = resized_levels(small if quality is None else compressed(small, quality), 512)
        face, same, facts = deblurred(enlarged)
        assert same is face and facts == {}


def test_a_crop_that_is_too_small_to_tell_is_not_sharpened():
    for levels in large_faces(3):
        blurred = np.rint(gaussian_filter(levels.astype(float), (6, 6, 0))).astype(np.uint8)
        assert deblurred(resized_levels(blurred, 96))[2] == {}
        assert deblurred(resized_levels(blurred, 64))[2] != {}


@pytest.mark.parametrize("quality", [60, 85, 95])
def test_a_compressed_crop_is_not_sharpened(quality):
    for levels in large_faces():
        blurred = np.rint(gaussian_filter(levels.astype(float), (6, 6, 0))).astype(np.uint8)
        face, same, facts = deblurred(compressed(blurred, quality))
        assert same is face and facts == {}


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_faces_damaged_like_photographs_are_not_sharpened(severity):
    for i, levels in enumerate(large_faces()):
        face, same, facts = deblurred(damage(levels, STRENGTHS[severity], np.random.default_rng(i)))
        assert same is face and facts == {}


@pytest.mark.parametrize("factor,quality", [(2, None), (4, None), (4, 75)])
def test_an_enlarged_photograph_is_not_sharpened(factor, quality):
    levels = PHOTO.to_uint8()
    small = resized_levels(levels, 512 // factor)
    enlarged = resized_levels(small if quality is None else compressed(small, quality), 512)
    facts = through(Image.from_uint8(np.ascontiguousarray(enlarged)))[1]
    assert "blur" not in facts["mended"]


def test_a_blurred_photograph_saved_as_jpeg_is_sharpened():
    blurred = rounded(gaussian(PHOTO.pixels, 2))
    image, facts = through(Image.from_uint8(compressed(blurred.to_uint8(), 95)))
    assert facts["mended"] == ["blur"] and psnr(image.pixels, PHOTO.pixels) > psnr(blurred.pixels, PHOTO.pixels) + 2.5


def test_a_chain_undoes_blur_where_asked_and_the_record_tells():
    face = faces()[0]
    blurred = Image.from_uint8(corrupt(face.to_uint8(), "gaussian_blur", 3, np.random.default_rng(0), "64"))
    toy = [
        "priors.face={use: mixture, side: 64}",
        "restore.enhancer=none",
        "restore.inverter={steps: 8, solver: reversible-heun}",
        "restore.colour=keep",
    ]
    kept, undone = (
        Chain.load("odedit", [*toy, f"restore.blur={option}"]).run([blurred])[0] for option in ("keep", "undo")
    )
    assert "blur" not in kept.record["stages"][0]
    assert undone.record["stages"][0]["blur"]["sigma"] == pytest.approx(1, abs=0.25)
    assert psnr(undone.image.pixels, face.pixels) > psnr(kept.image.pixels, face.pixels) + 1
    with pytest.raises(Exception, match="blur"):
        Chain.load("odedit", ["restore.blur=maybe"])


def test_the_option_is_judged_by_a_command(bench):
    done = bench("blur", "--limit", 3, "--kind", "gaussian_blur", "--kind", "jpeg", "--json")
    assert done.code == 0, done.err
    rows = {row["damage"]: row for row in json.loads(done.out)["rows"]}
    assert list(rows) == ["clean", *(f"gaussian_blur {i}" for i in range(1, 6)), "jpeg 4"]
    assert rows["clean"]["touched"] == rows["jpeg 4"]["touched"] == 0 == rows["jpeg 4"]["gain"]
    assert rows["gaussian_blur 3"]["gain"] > 3 and rows["gaussian_blur 3"]["touched"] == 1
    assert rows["gaussian_blur 3"]["damaged"] < rows["gaussian_blur 3"]["undone"]
