"""Each corruption against its formula: closed forms, plain loops, and a second library."""

from __future__ import annotations

import io
import itertools

import numpy as np
import PIL.Image
import pytest
from degrade_faces import faces
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv

from odekit.parts.corruptions.blur import disk_kernel
from odekit.parts.corruptions.elastic import affine_map
from odekit.parts.corruptions.glass import shuffle
from odekit.parts.corruptions.kinds import SEVERITIES, corrupt
from odekit.parts.corruptions.motion import blur_along_line
from odekit.parts.corruptions.primitives import canny, clipped_zoom, equalise, plasma, sample_bilinear

FACES = faces()[::16]
GREY = np.full((64, 64, 3), 128, dtype=np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cut(values: np.ndarray) -> np.ndarray:
    return np.uint8(np.clip(values, 0, 1) * 255)


SCALE = (0.9, 0.8, 0.7, 0.6, 0.5)
QUALITY = (65, 58, 50, 40, 25)
ADD = (0.1, 0.2, 0.3, 0.4, 0.5)
FACTOR = (0.4, 0.3, 0.2, 0.1, 0.05)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_is_pillows_at_the_published_quality(severity):
    for face in FACES:
        buffer = io.BytesIO()
        PIL.Image.fromarray(face).save(buffer, "JPEG", quality=QUALITY[severity - 1])
        np.testing.assert_array_equal(corrupt(face, "jpeg", severity, rng()), np.asarray(PIL.Image.open(buffer)))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate_is_pillows_box_down_and_up(severity):
    side, box = int(64 * SCALE[severity - 1]), PIL.Image.Resampling.BOX
    for face in FACES:
        wanted = PIL.Image.fromarray(face).resize((side, side), box).resize((64, 64), box)
        np.testing.assert_array_equal(corrupt(face, "pixelate", severity, rng()), np.asarray(wanted))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_shrinks_towards_each_channels_mean(severity):
    for face in FACES:
        x = face / 255.0
        mean = x.mean((0, 1))
        wanted = cut((x - mean) * FACTOR[severity - 1] + mean)
        np.testing.assert_array_equal(corrupt(face, "contrast", severity, rng()), wanted)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_adds_to_value_in_hsv(severity):
    for face in FACES:
        hsv = rgb2hsv(face / 255.0)
        hsv[..., 2] = np.clip(hsv[..., 2] + ADD[severity - 1], 0, 1)
        np.testing.assert_array_equal(corrupt(face, "brightness", severity, rng()), cut(hsv2rgb(hsv)))


def test_saturation_of_a_grey_picture_follows_its_closed_form():
    """S = 0, hue red: V stays, and green and blue become V (1 - add)."""
    damaged = corrupt(GREY, "saturate", 4, rng())
    np.testing.assert_array_equal(damaged[0, 0], [128, int(128 * 0.9), int(128 * 0.9)])
    np.testing.assert_array_equal(corrupt(GREY, "saturate", 1, rng()), GREY)


@pytest.mark.parametrize(("kind", "options", "variance"), [
    ("gaussian_noise", {"std": 0.1}, 0.1**2),
    ("shot_noise", {"photons": 50}, (128 / 255) / 50),
    ("speckle_noise", {"std": 0.1}, (0.1 * 128 / 255) ** 2),
])  # fmt: skip
def test_noise_has_the_variance_of_its_definition(kind, options, variance):
    damaged = corrupt(np.full((256, 256, 3), 128, np.uint8), kind, 1, rng(), **options) / 255.0
    assert damaged.var() == pytest.approx(variance, rel=0.02)
    assert damaged.mean() == pytest.approx(128 / 255, abs=0.004)  # half a level is cut off


def test_impulse_noise_hits_its_fraction_with_as_much_salt_as_pepper():
    damaged = corrupt(np.full((256, 256, 3), 128, np.uint8), "impulse_noise", 1, rng(), fraction=0.2)
    assert (damaged == 255).mean() == pytest.approx(0.1, abs=0.004)
    assert (damaged == 0).mean() == pytest.approx(0.1, abs=0.004)


@pytest.mark.parametrize("radius", [0.5, 1, 2.5, 4, 6])
def test_defocus_keeps_the_light(radius):
    assert disk_kernel(radius, 0.5).sum() == pytest.approx(1)


@pytest.mark.parametrize("radius", [8, 10])
def test_the_largest_disks_fill_their_grid_and_mirror_a_little_light_as_published(radius):
    assert 1.001 < disk_kernel(radius, 0.5).sum() < 1.02


@pytest.mark.parametrize("kind", ["gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur", "elastic"])
@pytest.mark.parametrize("table", ["64", "224"])
def test_a_flat_picture_stays_flat_under_every_blur(kind, table):
    for severity, level in itertools.product(SEVERITIES, (1, 77, 255)):
        flat = np.full((48, 40, 3), level, np.uint8)
        if (kind, table) == ("defocus_blur", "224") and severity >= 4:
            continue  # see above
        np.testing.assert_array_equal(corrupt(flat, kind, severity, rng(), table), flat)


def test_defocus_equals_the_plain_convolution():
    for radius, alias in ((3, 0.1), (8, 0.5), (10, 0.5)):
        kernel = disk_kernel(radius, alias)
        planes = [ndimage.convolve(FACES[0][..., c] / 255.0, kernel, mode="mirror") for c in range(3)]
        damaged = corrupt(FACES[0], "defocus_blur", 1, rng(), radius=radius, alias=alias)
        np.testing.assert_array_equal(damaged, cut(np.stack(planes, -1) + 1e-9))


@pytest.mark.parametrize("factor", [1.01, 1.25, 1.75, 2.25, 4.5])
def test_enlargement_equals_scipys(factor):
    values = rng().random((48, 40))
    inner = tuple(slice((n - int(np.ceil(n / factor))) // 2, None) for n in values.shape)
    crop = values[inner][: int(np.ceil(48 / factor)), : int(np.ceil(40 / factor))]
    full = ndimage.zoom(crop, factor, order=1)
    top, left = (full.shape[0] - 48) // 2, (full.shape[1] - 40) // 2
    np.testing.assert_allclose(clipped_zoom(values, factor), full[top : top + 48, left : left + 40], atol=1e-12)


@pytest.mark.parametrize("shift", [1, 2, 4])
def test_glass_equals_the_published_double_loop(shift):
    """numpy carries the loop's swap out as a copy, whose source may have been replaced before."""
    start = FACES[1][:32, :24]
    block = (32 - 2 * shift, 24 - 2 * shift)
    down, right = rng(shift).integers(-shift, shift, size=(2, *block))
    looped = start.copy()
    for h in range(32 - shift, shift, -1):
        for w in range(24 - shift, shift, -1):
            dy, dx = down[h - shift - 1, w - shift - 1], right[h - shift - 1, w - shift - 1]
            looped[h, w], looped[h + dy, w + dx] = looped[h + dy, w + dx], looped[h, w]
    np.testing.assert_array_equal(shuffle(start, down, right), looped)
    assert (looped != start).any()


@pytest.mark.parametrize(("angle", "direction"), [(0, (0, -1)), (90, (-1, 0)), (45, (-1, -1))])
def test_motion_blur_of_a_point_is_its_one_sided_gaussian(angle, direction):
    point = np.zeros((41, 41, 1))
    point[20, 20] = 1
    blurred = blur_along_line(point, 10, 3, angle)[..., 0]
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    steps = [round(i / np.hypot(*direction)) for i in range(21)]
    trail = np.zeros((41, 41))
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        trail[20 + direction[0] * step, 20 + direction[1] * step] += weight
    np.testing.assert_allclose(blurred, trail, atol=1e-12)


@pytest.mark.parametrize("border", ["mirror", "reflect"])
def test_reading_between_pixels_equals_scipys(border):
    values = rng().random((9, 7, 2))
    y, x = rng(1).uniform(-12, 20, (2, 5, 6))
    for channel in range(2):
        wanted = ndimage.map_coordinates(values[..., channel], [y, x], order=1, mode=border)
        np.testing.assert_allclose(sample_bilinear(values, y, x, border)[..., channel], wanted, atol=1e-12)


def test_the_affine_map_carries_the_moved_points_back():
    moved = np.array([[3.0, -2.0], [1.0, 4.0], [-5.0, 0.5]])
    points = np.array([[20, 32], [20, 32], [20, 32]]) + 13 * np.array([[1, 1], [1, -1], [-1, -1]])
    back = np.column_stack([points + moved, np.ones(3)]) @ affine_map(64, 40, moved).T
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_elastic_without_displacement_changes_nothing():
    np.testing.assert_array_equal(corrupt(FACES[0], "elastic", 3, rng(), alpha=0, affine=0), FACES[0])


def test_plasma_fills_0_to_1_and_is_smoother_with_more_decay():
    rough, smooth = plasma(rng(), 64, 1.4), plasma(rng(), 64, 3)
    for field in (rough, smooth):
        assert (field.min(), field.max()) == (0, 1)
    assert np.abs(np.diff(smooth)).mean() < 0.5 * np.abs(np.diff(rough)).mean()
    wrap = np.abs(smooth[0] - smooth[-1]).mean()
    assert wrap < 3 * np.abs(np.diff(smooth, axis=0)).mean()


def test_fog_of_a_white_picture_follows_its_formula():
    """White stays the greatest value: (1 + s c) / (1 + s), least 1 / (1 + s) where the cloud is 0."""
    damaged = corrupt(np.full((64, 64, 3), 255, np.uint8), "fog", 1, rng(), strength=1.0)
    assert (damaged.min(), damaged.max()) == (127, 255)


def test_snow_without_flakes_only_whitens():
    x = FACES[0] / 255.0
    grey = x @ [0.299, 0.587, 0.114]
    wanted = cut(0.8 * x + (1 - 0.8) * np.maximum(x, grey[..., None] * 1.5 + 0.5))
    np.testing.assert_array_equal(corrupt(FACES[0], "snow", 1, rng(), threshold=9), wanted)


def test_canny_finds_the_outline_of_a_square_and_nothing_else():
    square = np.zeros((40, 40), np.uint8)
    square[10:30, 12:28] = 200
    edges = canny(square, 50, 150)
    inside = np.zeros((40, 40), bool)
    inside[10:30, 12:28] = True
    rim = ndimage.binary_dilation(inside, np.ones((3, 3))) & ~ndimage.binary_erosion(inside, np.ones((3, 3)))
    assert not (edges & ~rim).any()
    np.testing.assert_array_equal(ndimage.binary_fill_holes(edges) | inside, ndimage.binary_fill_holes(edges))


def test_canny_follows_an_edge_below_the_high_threshold_only_from_a_strong_one():
    ramp = np.zeros((20, 60), np.uint8)
    ramp[10:, :] = np.linspace(60, 14, 60).astype(np.uint8)  # strengths 4 x level: 240 down to 56
    assert canny(ramp, 50, 150).any(axis=0)[2:-2].all()
    assert not canny(ramp, 50, 300).any()


def test_equalise_makes_the_cumulative_histogram_straight():
    skewed = (255 * rng().random((64, 64)) ** 4).astype(np.uint8)
    even = equalise(skewed)
    counts = np.cumsum(np.bincount(skewed.ravel(), minlength=256))
    least = counts[skewed.min()]
    np.testing.assert_array_equal(even, np.rint(255 * (counts[skewed] - least) / (skewed.size - least)))
    flat = np.full((8, 8), 7, np.uint8)
    np.testing.assert_array_equal(equalise(flat), flat)


def test_mud_covers_and_water_only_adds_light():
    for severity in (1, 2, 3):
        assert (corrupt(FACES[0], "spatter", severity, rng()) >= FACES[0]).all()
    damaged = corrupt(np.full((64, 64, 3), 255, np.uint8), "spatter", 5, rng())
    covered = (damaged < 255).any(-1)
    assert 0.02 < covered.mean() < 0.3
    np.testing.assert_allclose(damaged[covered].max(), 255 - 0.8 * (255 - 63), atol=1)  # less than 0.8 of mud is none
