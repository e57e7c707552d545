"""Fading of prints: measured by black and white point, undone by stretching, and only where it is asked for."""

import numpy as np
import pytest
from photos import PHOTOS

from odekit import Chain, read
from odekit.core.image import Image
from odekit.images.colour import luma
from odekit.parts.repair.fading import DARK, LIGHT, Fading, measure_fading

PHOTO = read(PHOTOS / "astronaut.jpg")


def print_of(photo, exponents=(0.85, 1, 1.25)):
    """The photograph as a toned print: R, G and B are powers of its luma."""
    y = luma(photo.pixels)
    levels = np.stack([255 * y**e for e in exponents], 2).round().astype(np.uint8)
    return photo.with_pixels(Image.from_uint8(levels).pixels)


def faded(photo, black, white):
    """The photograph with its luma compressed to the range from black to white."""
    return photo.with_pixels(photo.pixels * np.float32(white - black) + np.float32(black))


def through(photo, **options):
    result = Chain([{"mend": {"blocks": False, "blur": False, **options}}]).run([photo])[0]
    return result.image, result.record["stages"][0]


def points(photo):
    fading = measure_fading(photo.pixels)
    return fading.black, fading.white


def test_a_faded_print_gets_its_contrast_back():
    worn = faded(print_of(PHOTO, (1, 1, 1)), 0.25, 0.8)
    image, facts = through(worn, fading="auto")
    assert facts["mended"] == ["fading"]
    assert facts["fading"] == pytest.approx(1 - 0.55 * np.subtract(*points(PHOTO)[::-1]), abs=0.02)
    assert points(image) == pytest.approx((DARK, LIGHT), abs=0.01)
    before, after = (np.corrcoef(x.pixels.ravel(), PHOTO.pixels.ravel())[0, 1] for x in (worn, image))
    assert after >= before - 0.01


def test_a_toned_print_keeps_its_tone():
    """Chroma stays a function of luma: the result is toned as the print is."""
    from odekit.images.tone import measure_tone

    worn = faded(print_of(PHOTO), 0.2, 0.85)
    image, _ = through(worn, fading="auto")
    assert measure_tone(image.pixels) is not None
    red, green, blue = image.pixels.mean((1, 2))
    assert red > green > blue


@pytest.mark.parametrize(("black", "white"), [(0.05, 0.8), (0.2, 0.95), (0.12, 0.95)])
def test_a_picture_with_black_or_with_white_is_not_faded(black, white):
    photo = faded(print_of(PHOTO, (1, 1, 1)), black, white)
    image, facts = through(photo, fading="auto")
    assert image.pixels is photo.pixels and facts["fading"] == 0


def test_colour_pictures_and_other_chains_are_left():
    worn = faded(PHOTO, 0.25, 0.8)
    assert through(worn, fading="auto")[0].pixels is worn.pixels
    assert through(worn)[0].pixels is worn.pixels
    assert through(worn, fading=True)[1]["mended"] == ["fading"]
    photo, old = (Chain.load(name).spec.items[0].options for name in ("photo", "old-photo"))
    assert (photo.fading, old.fading) == (False, "auto")


def test_dust_and_a_white_mount_do_not_hide_fading():
    worn = faded(print_of(PHOTO, (1, 1, 1)), 0.25, 0.8)
    pixels = worn.pixels.copy()
    rng = np.random.default_rng(0)
    pixels[:, rng.random(pixels.shape[1:]) < 0.002] = 1.0
    pixels[:, :12], pixels[..., -12:] = 1.0, 1.0
    assert through(worn.with_pixels(pixels), fading="auto")[1]["mended"] == ["fading"]


def test_the_contrast_grows_by_a_factor_of_two_at_most():
    fading = Fading(0.4, 0.6)
    stretched = fading.undo(np.linspace(0.4, 0.6, 30, dtype=np.float32).reshape(3, 1, 10))
    assert np.ptp(stretched) == pytest.approx(0.4, abs=1e-6)
