"""The metric `niqe` against basicsr's function, and its response to degradations."""

import math

import numpy as np
import pytest
from odekit_basicsr import library
from odekit_basicsr.niqe import NiqeMetric
from odekit_basicsr.options import Niqe
from scipy import ndimage
from skimage import data

from odekit.core.image import Image
from odekit.errors import InputError
from odekit.parts.installed import catalog


@pytest.fixture(scope="module")
def photo():
    """A natural photograph, 288 x 384."""
    return Image.from_uint8(data.astronaut()[:288, :384])


def degrade(image, how):
    rng = np.random.default_rng(0)
    if how == "noise":
        pixels = image.pixels + rng.normal(0, 0.15, image.pixels.shape)
    else:
        pixels = ndimage.gaussian_filter(image.pixels, (0, 3, 3))
    return Image(np.clip(pixels, 0, 1).astype(np.float32))


def test_it_is_basicsrs_number(photo):
    theirs = library.module("metrics.niqe")
    bgr = photo.to_uint8()[..., ::-1]
    assert NiqeMetric().measure(photo, photo) == theirs.calculate_niqe(bgr, 0)
    assert NiqeMetric(Niqe(crop=20)).measure(photo) == theirs.calculate_niqe(bgr, 20)
    assert NiqeMetric(Niqe(channel="grey")).measure(photo) == theirs.calculate_niqe(bgr, 0, convert_to="gray")
    assert len({NiqeMetric(o).measure(photo) for o in (Niqe(), Niqe(crop=20), Niqe(channel="grey"))}) == 3


def test_natural_is_better_than_noisy_and_than_blurred(photo):
    metric = NiqeMetric()
    clean = metric.measure(photo)
    assert metric.lower_is_better
    assert 2 < clean < 7
    for how in ("noise", "blur"):
        assert metric.measure(degrade(photo, how)) > clean + 1


def test_the_reference_is_ignored(photo):
    metric = NiqeMetric()
    assert metric.measure(photo, degrade(photo, "noise")) == metric.measure(photo, photo)


def test_a_flat_picture_has_no_number():
    assert math.isnan(NiqeMetric().measure(Image(np.full((3, 192, 192), 0.5, np.float32))))


@pytest.mark.parametrize(("height", "width", "crop"), [(64, 64, 0), (191, 191, 0), (96, 96, 0), (200, 200, 60)])
def test_too_small_a_picture_is_refused(height, width, crop):
    with pytest.raises(InputError, match="two blocks of 96 px"):
        NiqeMetric(Niqe(crop=crop)).measure(Image(np.zeros((3, height, width), np.float32)))


def test_it_is_a_part():
    entry = catalog().get("metric", "niqe")
    assert entry.dist == "odekit-basicsr"
    assert isinstance(entry.load()(Niqe(), None), NiqeMetric)
