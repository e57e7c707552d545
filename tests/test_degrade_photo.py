"""The corruption `photo`: blur, reduction, noise and JPEG, of a severity or of ranges."""

import numpy as np
import PIL.Image
import pytest
from conftest import ROOT
from scipy.ndimage import laplace

from odekit import Image
from odekit.core.psnr import psnr
from odekit.errors import ConfigError
from odekit.evaluation.degrade.recipe import damage
from odekit.images.colour import LUMA_WEIGHTS, luma
from odekit.parts.corruptions.photo import STRENGTHS, Photo, PhotoCorruption

FACE = Image.from_uint8(
    np.asarray(PIL.Image.open(ROOT / "examples" / "photos" / "portrait.jpg").convert("RGB").resize((256, 256)))
)


def draws(count=8, **options):
    made = PhotoCorruption(Photo(**options))
    return [made.corrupt(FACE, np.random.Generator(np.random.Philox(i))) for i in range(count)]


def test_every_severity_is_worse_than_the_one_before():
    means = [np.mean([psnr(image.pixels, FACE.pixels) for image in draws(severity=s)]) for s in range(1, 6)]
    assert means == sorted(means, reverse=True) and means[0] > means[-1] + 5


def test_the_published_ranges():
    """The ranges of mild, medium and heavy damage that face restoration is judged by here."""
    mild, medium, heavy = (STRENGTHS[s] for s in (1, 3, 5))
    assert (mild.blur, mild.quality) == ((0.6, 1.6), (70, 95))
    assert (medium.factor, medium.noise) == ((2, 4), (3, 10))
    assert (heavy.blur, heavy.factor, heavy.noise, heavy.quality) == ((2.4, 5.0), (4, 8), (6, 18), (25, 55))
    assert STRENGTHS[2].blur == pytest.approx((0.9, 2.4))


def test_every_option_has_an_effect():
    calm = {"blur": [0.0, 0.0], "factor": [1.0, 1.0], "noise": [0.0, 0.0], "quality": [100.0, 100.0]}
    (clean,) = draws(1, **calm)
    assert psnr(clean.pixels, FACE.pixels) > 40
    grey = Image(np.full((3, 128, 128), 0.5, np.float32))
    noisy = PhotoCorruption(Photo(**calm | {"noise": [20.0, 20.0]}))
    levels = [255 * luma(noisy.corrupt(grey, np.random.Generator(np.random.Philox(i))).pixels).std() for i in range(8)]
    alike, apart = 20.0, 20.0 * np.sqrt((LUMA_WEIGHTS**2).sum())  # in all channels, or in each on its own
    assert all(min(abs(level - alike), abs(level - apart)) < 0.5 for level in levels)
    assert max(levels) > 19 and min(levels) < 14
    for name, value in (("blur", 3.0), ("factor", 4.0)):
        (soft,) = draws(1, **calm | {name: [value, value]})
        assert laplace(soft.pixels[1]).std() < 0.7 * laplace(clean.pixels[1]).std(), name
    (coarse,) = draws(1, **calm | {"quality": [10.0, 10.0]})
    assert psnr(coarse.pixels, FACE.pixels) < 35


def test_noise_depends_on_the_picture_and_the_seed_alone():
    a, b, c = (damage(FACE, "photo", seed) for seed in (1, 1, 2))
    assert np.array_equal(a.pixels, b.pixels) and not np.array_equal(a.pixels, c.pixels)


@pytest.mark.parametrize(
    "options, message",
    [
        ("{use: photo, severity: 6}", "less than or equal to 5"),
        ("{use: photo, noise: [9, 3]}", "noise: two numbers from 0 to 255, the lower one first"),
        ("{use: photo, quality: [0, 50]}", "quality: two numbers from 1 to 100"),
        ("{use: photo, nois: [1, 2]}", "did you mean 'noise'"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    from odekit.chains.document import Document, parse_yaml
    from odekit.evaluation.degrade.recipe import Resolver, corruptions

    parsed = parse_yaml(options, "--kind")
    with pytest.raises(ConfigError, match=message):
        Resolver(corruptions(), Document(parsed.data, "--kind", {})).part("corruption", parsed.data, ())
