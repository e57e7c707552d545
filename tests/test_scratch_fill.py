"""Filling of scratches: smooth surfaces, the tone of monochrome prints, and grain."""

import numpy as np
import pytest
from photos import PHOTOS

from odekit import read
from odekit.images.colour import luma
from odekit.parts.repair import scratch_fill
from odekit.parts.repair.inpaint import inpaint_directional, inpaint_membrane, side_along
from odekit.training.data import cracks

PHOTO = read(PHOTOS / "astronaut.jpg").pixels[:, 40:264, 120:344]
HOLE = np.zeros((224, 224), bool)
HOLE[:, 100:104] = True
HOLE[60:64] = True


def toned(pixels, exponents=(0.7, 1.0, 1.5)):
    """A print with a tone: R, G and B are powers of the luma."""
    y = luma(pixels)
    return np.stack([y**e for e in exponents]).astype(np.float32)


# --- the smooth surface


def test_a_plane_is_continued_exactly():
    y, x = np.mgrid[0:40, 0:50].astype(np.float32)
    plane = np.stack([0.2 + x / 100, 0.1 + y / 80, 0.3 + x / 200 + y / 200]).astype(np.float32)
    hole = np.zeros((40, 50), bool)
    hole[10:13, 5:45] = hole[5:35, 20:23] = True
    filled = inpaint_membrane(np.where(hole, 0, plane).astype(np.float32), hole)
    assert np.abs(filled - plane).max() < 0.01  # a plane solves Laplace's equation


def test_the_surface_stays_between_the_values_around_it():
    rng = np.random.Generator(np.random.Philox(0))
    noise = rng.random((3, 30, 30), dtype=np.float32)
    hole = rng.random((30, 30)) < 0.4
    filled = inpaint_membrane(noise, hole)
    assert np.array_equal(filled[:, ~hole], noise[:, ~hole])
    assert filled.min() >= noise[:, ~hole].min() - 1e-6 and filled.max() <= noise[:, ~hole].max() + 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (1, 9)])
def test_pictures_of_a_few_pixels_and_full_holes_are_filled(shape):
    pixels = np.full((3, *shape), 0.25, np.float32)
    assert np.isfinite(inpaint_membrane(pixels, np.ones(shape, bool))).all()
    one = np.zeros(shape, bool)
    one[0, 0] = shape != (1, 1)
    assert np.allclose(inpaint_membrane(pixels, one), 0.25)


# --- directions


def test_an_edge_that_crosses_a_hole_aslant_is_continued():
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    edge = np.clip((x - 0.7 * y - 8) + 0.5, 0, 1)[None].repeat(3, 0) * np.float32(0.7) + np.float32(0.1)
    hole = np.zeros((64, 64), bool)
    hole[:, 30:36] = True
    errors = [np.abs(fill(edge, hole) - edge)[:, hole].mean() for fill in (inpaint_membrane, inpaint_directional)]
    assert errors[1] < 0.6 * errors[0]


def test_drawn_cracks_are_filled_better_than_by_opencv_and_by_the_membrane():
    import cv2

    rng = np.random.Generator(np.random.Philox(5))
    hole = np.zeros((224, 224), bool)
    for _ in range(5):
        hole |= cracks.cracks(rng, 224) > 0.05
    hole[60:64] = True
    levels = np.ascontiguousarray((PHOTO.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    telea = cv2.inpaint(levels, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA).transpose(2, 0, 1) / 255
    fillings = (telea, inpaint_membrane(PHOTO, hole), inpaint_directional(PHOTO, hole))
    errors = [float(((filled - PHOTO)[:, hole] ** 2).mean()) for filled in fillings]
    assert errors[2] < errors[1] and errors[2] < 0.85 * errors[0]


def test_the_sides_of_a_hole_are_its_nearest_known_pixels():
    hole = np.zeros((9, 12), bool)
    hole[:, 4:8] = True
    rows, columns = np.array([4, 4]), np.array([5, 7])
    for angle, places, distances in ((0, [8, 8], [3, 1]), (np.pi, [3, 3], [2, 4])):
        r, c, d = side_along(hole, rows, columns, angle)
        assert r.tolist() == [4, 4] and c.tolist() == places and d.tolist() == distances
    assert np.isinf(side_along(hole, rows, columns, np.pi / 2)[2]).all()  # the hole goes on to the border


# --- tone


def test_grey_pictures_stay_grey_bit_for_bit():
    grey = np.repeat(luma(PHOTO)[None], 3, axis=0)
    filled = scratch_fill.add_grain(scratch_fill.fill_hole(grey, HOLE), HOLE)
    assert np.array_equal(filled[0], filled[1]) and np.array_equal(filled[0], filled[2])
    assert not np.array_equal(filled[:, HOLE], grey[:, HOLE])


def test_a_toned_print_is_filled_on_its_tone_curve():
    sepia = toned(PHOTO)
    white = sepia.copy()
    white[:, HOLE] = 0.95  # a crease shows paper
    filled = scratch_fill.fill_hole(white, HOLE)
    curve = scratch_fill.tone_curve(sepia, ~HOLE)
    assert np.abs(curve.colours(luma(filled)) - filled)[:, HOLE].max() < 0.02
    assert (filled[0] - filled[2])[HOLE].mean() == pytest.approx((sepia[0] - sepia[2])[HOLE].mean(), abs=0.02)


def test_a_picture_in_colour_has_no_tone_curve():
    known = np.ones(PHOTO.shape[1:], bool)
    assert scratch_fill.tone_curve(PHOTO, known) is None
    assert scratch_fill.tone_curve(toned(PHOTO), known) is not None
    assert scratch_fill.tone_curve(PHOTO, ~known) is None


def test_a_stain_keeps_its_colour_across_a_filled_crack():
    sepia = toned(PHOTO)
    sepia[2, :, 90:114] -= 0.03 * (sepia[2, :, 90:114] > 0.1)
    filled = scratch_fill.fill_hole(sepia, HOLE)
    curve = scratch_fill.tone_curve(sepia, ~HOLE)
    off = (filled - curve.colours(luma(filled)))[2, :50, 101:103].mean()
    assert off < -0.01


# --- grain


def test_a_filling_has_the_grain_around_it():
    rng = np.random.Generator(np.random.Philox(1))
    grainy = np.clip(0.5 + 0.05 * rng.standard_normal((1, 96, 96)), 0, 1).repeat(3, 0).astype(np.float32)
    hole = np.zeros((96, 96), bool)
    hole[:, 40:46] = True
    smooth = scratch_fill.fill_hole(grainy, hole)
    filled = scratch_fill.add_grain(smooth, hole)
    around, before, after = grainy[0, :, 30:38].std(), smooth[0][hole].std(), filled[0][hole].std()
    assert before < 0.6 * around and 0.75 * around < after < 1.25 * around
    assert np.array_equal(filled[:, ~hole], grainy[:, ~hole])


def test_a_smooth_picture_gets_no_grain():
    flat = np.full((3, 64, 64), 0.4, np.float32)
    hole = np.zeros((64, 64), bool)
    hole[20:24] = True
    assert np.abs(scratch_fill.add_grain(flat, hole) - flat).max() < 1e-5
    assert scratch_fill.add_grain(flat, np.zeros_like(hole)) is flat


def test_edges_beside_a_hole_are_not_copied_into_it():
    step = np.full((3, 64, 64), 0.2, np.float32)
    step[:, :, 36:] = 0.9
    hole = np.zeros((64, 64), bool)
    hole[:, 30:34] = True
    filled = scratch_fill.add_grain(step, hole)
    assert np.abs(filled - step)[:, :, 30:34].max() < 0.15
